/** What the work costs without a proxy, in this process: the yardsticks for handshakes and records. */
#ifndef PGSEAL_BENCH_LOCAL_H
#define PGSEAL_BENCH_LOCAL_H

/** CPU microseconds of the server's half of a TLS 1.3 handshake in memory, averaged over `seconds`. */
double local_handshake_us(const char *cert_file, const char *key_file, double seconds);
/** CPU seconds that AES-256-GCM takes for a GiB in records of 16 KiB, averaged over `seconds`. */
double local_gcm_s_per_gb(double seconds);
/** CPU microseconds of opening one record with a small query and sealing one with its answer, in batches. */
double local_records_us(const char *cert_file, const char *key_file, double seconds);
/** KiB of heap that one TLS 1.3 server session keeps after its handshake, record buffers released. */
double local_session_kib(const char *cert_file, const char *key_file);

#endif
