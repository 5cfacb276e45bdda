/* OpenSSL alone, without a socket. */
#include "local.h"

#include "peer.h"

#include <malloc.h>
#include <openssl/evp.h>
#include <stdbool.h>
#include <time.h>

enum { RECORD = 16 * 1024, BATCH = 256, SESSIONS = 500, QUERY = 14, ANSWER = 66 };

static double cpu_us(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static SSL_CTX *server_context(const char *cert_file, const char *key_file)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

    if (!ctx || SSL_CTX_use_certificate_chain_file(ctx, cert_file) != 1 ||
        SSL_CTX_use_PrivateKey_file(ctx, key_file, SSL_FILETYPE_PEM) != 1)
        die(cert_file, "could not be loaded");
    (void)SSL_CTX_set_num_tickets(ctx, 0);
    (void)SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    return ctx;
}

/* One handshake; adds to *us what the server's half took. Returns the server's half, and in *client_out
 * (unless that is NULL) the client's, over the same buffers. */
static SSL *handshake(SSL_CTX *server_ctx, SSL_CTX *client_ctx, double *us, SSL **client_out)
{
    BIO *to_server = BIO_new(BIO_s_mem()), *to_client = BIO_new(BIO_s_mem());
    SSL *client = SSL_new(client_ctx);
    double began = cpu_us();
    SSL *server = SSL_new(server_ctx);
    *us += cpu_us() - began;

    if (!client || !server || !to_server || !to_client)
        die("memory", "none left");
    (void)BIO_up_ref(to_server);
    (void)BIO_up_ref(to_client);
    SSL_set_bio(server, to_server, to_client);
    SSL_set_bio(client, to_client, to_server);
    SSL_set_accept_state(server);
    SSL_set_connect_state(client);
    for (int i = 0; i < 8 && !(SSL_is_init_finished(server) && SSL_is_init_finished(client)); i++) {
        (void)SSL_do_handshake(client);
        began = cpu_us();
        (void)SSL_do_handshake(server);
        *us += cpu_us() - began;
    }
    if (!SSL_is_init_finished(server))
        die("handshake", "does not end");
    if (client_out)
        *client_out = client;
    else
        SSL_free(client);
    return server;
}

double local_session_kib(const char *cert_file, const char *key_file)
{
    static SSL *sessions[SESSIONS];
    SSL_CTX *server = server_context(cert_file, key_file), *client = SSL_CTX_new(TLS_client_method());
    double ignored = 0;
    size_t before = 0, after;
    uint8_t byte;

    (void)SSL_CTX_set_mode(server, SSL_MODE_RELEASE_BUFFERS);
    for (int i = -1; i < SESSIONS; i++) { /* the first one fills OpenSSL's own caches */
        SSL *ssl = handshake(server, client, &ignored, NULL);
        (void)SSL_read(ssl, &byte, 1); /* nothing is there: the buffers go back */
        SSL_set_bio(ssl, NULL, NULL);
        if (i < 0) {
            SSL_free(ssl);
            before = mallinfo2().uordblks;
        } else {
            sessions[i] = ssl;
        }
    }
    after = mallinfo2().uordblks;
    for (int i = 0; i < SESSIONS; i++)
        SSL_free(sessions[i]);
    SSL_CTX_free(server);
    SSL_CTX_free(client);
    return (double)(after - before) / SESSIONS / 1024;
}

double local_handshake_us(const char *cert_file, const char *key_file, double seconds)
{
    SSL_CTX *server = server_context(cert_file, key_file), *client = SSL_CTX_new(TLS_client_method());
    double total = 0, until = cpu_us() + seconds * 1e6;
    unsigned n = 0;

    for (; cpu_us() < until; n++) {
        SSL *ssl = handshake(server, client, &total, NULL);
        double began = cpu_us();
        SSL_free(ssl);
        total += cpu_us() - began;
    }
    SSL_CTX_free(server);
    SSL_CTX_free(client);
    return n ? total / n : 0;
}

double local_records_us(const char *cert_file, const char *key_file, double seconds)
{
    SSL_CTX *server_ctx = server_context(cert_file, key_file), *client_ctx = SSL_CTX_new(TLS_client_method());
    double ignored = 0, total = 0, until = cpu_us() + seconds * 1e6;
    SSL *client, *server = handshake(server_ctx, client_ctx, &ignored, &client);
    char bytes[ANSWER] = { 'Q' };
    unsigned n = 0;

    while (cpu_us() < until) {
        bool done = true;
        for (int i = 0; i < BATCH; i++)
            done = done && SSL_write(client, bytes, QUERY) == QUERY;
        double began = cpu_us();
        for (int i = 0; i < BATCH; i++)
            done = done && SSL_read(server, bytes, QUERY) == QUERY &&
                   SSL_write(server, bytes, ANSWER) == ANSWER;
        total += cpu_us() - began;
        for (int i = 0; i < BATCH; i++)
            done = done && SSL_read(client, bytes, ANSWER) == ANSWER;
        if (!done)
            die("records", "failed");
        n += BATCH;
    }
    SSL_free(client);
    SSL_free(server);
    SSL_CTX_free(server_ctx);
    SSL_CTX_free(client_ctx);
    return n ? total / n : 0;
}

double local_gcm_s_per_gb(double seconds)
{
    static uint8_t in[RECORD], out[RECORD + 16];
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    const uint8_t key[32] = { 1 }, iv[12] = { 2 };
    double began = cpu_us(), took;
    uint64_t bytes = 0;
    int n;

    if (!ctx || EVP_EncryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, key, iv) != 1)
        die("AES", "not available");
    do {
        for (int i = 0; i < BATCH; i++) {
            if (EVP_EncryptInit_ex(ctx, NULL, NULL, NULL, iv) != 1 ||
                EVP_EncryptUpdate(ctx, out, &n, in, RECORD) != 1 ||
                EVP_EncryptFinal_ex(ctx, out + n, &n) != 1 ||
                EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, 16, out + RECORD) != 1)
                die("AES", "failed");
            bytes += RECORD;
        }
        took = cpu_us() - began;
    } while (took < seconds * 1e6);
    EVP_CIPHER_CTX_free(ctx);
    return took / 1e6 * (double)(1ull << 30) / (double)bytes;
}
