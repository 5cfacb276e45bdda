"""What the integration tests stand on: servers, certificates, and a client that speaks bytes."""
