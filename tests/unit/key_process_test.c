/* SPDX-License-Identifier: BSD-2-Clause */
/* The process that holds keys: its protocol, its life, its death. */
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "milter/key_client.h"
#include "milter/key_packet.h"
#include "milter/key_worker.h"
#include "policy/crypto/private_key.h"
#include "tests/support/support.h"

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))

/* ---- packets ---- */

static const struct key_packet packets[] = {
	{ KEY_PACKET_KEY, KEY_ED25519, 7, 0, 256, SLICE("name"), SLICE("public") },
	{ KEY_PACKET_KEY, KEY_RSA, UINT32_MAX, UINT32_MAX, UINT32_MAX, SLICE(""), SLICE("p") },
	{ KEY_PACKET_READY, KEY_RSA, 2, 0, 0, SLICE(""), SLICE("") },
	{ KEY_PACKET_FAULT, KEY_RSA, 0, 0, 0, SLICE(""), SLICE("a\nb") },
	{ KEY_PACKET_SIGN, KEY_RSA, 1, 2, 0, SLICE(""), SLICE("01234567890123456789012345678901") },
	{ KEY_PACKET_SIGNED, KEY_RSA, 0, 2, 0, SLICE(""), SLICE("s") },
	{ KEY_PACKET_REFUSED, KEY_RSA, 0, 2, 0, SLICE(""), SLICE("") },
};

static void
packets_come_back(void **state)
{
	char bytes[KEY_PACKET_BYTES], again[KEY_PACKET_BYTES];
	struct key_packet got;

	(void)state;
	for (size_t i = 0; i < COUNT(packets); i++) {
		size_t len = key_packet_write(&packets[i], bytes);

		assert_int_equal(key_packet_read(slice_of(bytes, len), &got), 0);
		assert_int_equal(key_packet_write(&got, again), len);
		assert_memory_equal(bytes, again, len);
		for (size_t cut = 0; cut < len; cut++)
			assert_int_equal(key_packet_read(slice_of(bytes, cut), &got), -1);
		assert_int_equal(key_packet_read(slice_of(bytes, len + 1), &got), -1);
	}
}

static void
refuses_what_is_no_packet(void **state)
{
	char bytes[KEY_PACKET_BYTES];
	struct key_packet p = packets[4], got;
	size_t len;

	(void)state;
	p.payload.len--; /* a digest that is none */
	len = key_packet_write(&p, bytes);
	assert_int_equal(key_packet_read(slice_of(bytes, len), &got), -1);
	p = packets[6];
	for (int kind = -1; kind < 12; kind += kind == 0 ? 7 : 1) {
		p.kind = (enum key_packet_kind)kind;
		len = key_packet_write(&p, bytes);
		assert_int_equal(key_packet_read(slice_of(bytes, len), &got), -1);
	}
	p = packets[6];
	p.type = (enum key_type)2;
	len = key_packet_write(&p, bytes);
	assert_int_equal(key_packet_read(slice_of(bytes, len), &got), -1);
}

/* Whatever comes, the worker ends or answers; it never signs what was not asked for properly. */
static void
garbage_ends_a_worker(void **state)
{
	static const struct slice garbage[] = { SLICE("x"), SLICE("\5"), SLICE("GET / HTTP/1.0"),
		SLICE("\4\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"),
		SLICE("\4\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\40short"),
		SLICE("\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1x") };
	struct world w;
	struct key_ring *ring;
	struct key_holder holder;

	(void)state;
	world_open(&w, NULL);
	ring = key_ring_new(w.crypto);
	holder = key_ring_holder(ring);
	for (size_t i = 0; i < COUNT(garbage); i++) {
		int pair[2];
		char c;

		assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
		assert_int_equal(
		    send(pair[0], garbage[i].p, garbage[i].len, 0), (ssize_t)garbage[i].len);
		key_worker_serve(pair[1], &holder); /* comes back: it has given up */
		close(pair[1]);
		assert_int_equal(recv(pair[0], &c, 1, 0), 0);
		close(pair[0]);
	}
	key_ring_free(&ring);
	world_close(&w);
}

/* ---- processes ---- */

struct rig {
	struct world w;
	char folder[64], conf_file[128], rsa_file[128], ed_file[128];
	struct key_monitor monitor;
	struct conf *conf;
	struct key_client *client;
};

static void
write_key(const char *path, enum key_type type)
{
	struct private_key *k = private_key_generate(type, 1024);
	size_t len;
	char *pem = private_key_pem(k, &len);
	FILE *f;

	(void)unlink(path);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(pem, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(path, 0600), 0);
	private_key_pem_free(&pem, len);
	private_key_free(&k);
}

static struct key_client *
open_client(struct rig *g, char **error_r)
{
	return key_client_open(&g->monitor, g->conf, error_r);
}

static void
rig_open(struct rig *g)
{
	const struct identity stay = { .wanted = false };
	char *error = NULL;
	FILE *f;

	memset(g, 0, sizeof(*g));
	world_open(&g->w, NULL);
	(void)snprintf(g->folder, sizeof(g->folder), "/tmp/assay-keys.XXXXXX");
	assert_non_null(mkdtemp(g->folder));
	(void)snprintf(g->conf_file, sizeof(g->conf_file), "%s/conf", g->folder);
	(void)snprintf(g->rsa_file, sizeof(g->rsa_file), "%s/rsa.pem", g->folder);
	(void)snprintf(g->ed_file, sizeof(g->ed_file), "%s/ed.pem", g->folder);
	write_key(g->rsa_file, KEY_RSA);
	write_key(g->ed_file, KEY_ED25519);
	f = fopen(g->conf_file, "w");
	assert_non_null(f);
	(void)fprintf(f,
	    "dkim_key rsa { domain = a.example selector = rsa key_file = \"%s\" }\n"
	    "dkim_key ed { domain = a.example selector = ed key_file = \"%s\" }\n",
	    g->rsa_file, g->ed_file);
	assert_int_equal(fclose(f), 0);
	g->conf = conf_load(g->conf_file, &error);
	assert_non_null(g->conf);
	assert_int_equal(key_monitor_start(&g->monitor, g->conf_file, &stay), 0);
	g->client = open_client(g, &error);
	if (g->client == NULL)
		fail_msg("no client: %s", error);
}

static void
rig_close(struct rig *g)
{
	key_client_close(&g->client);
	key_monitor_stop(&g->monitor);
	conf_free(&g->conf);
	(void)unlink(g->rsa_file);
	(void)unlink(g->ed_file);
	(void)unlink(g->conf_file);
	(void)rmdir(g->folder);
	world_close(&g->w);
}

/* 0: signed, and it verifies. */
static int
try_sign(struct rig *g, uint32_t number, const char **error_r)
{
	const struct outgoing_keys *keys = key_client_keys(g->client);
	uint8_t digest[SHA256_BYTES] = { 42 };
	struct signature s;

	*error_r = "";
	if (keys->holder.sign(keys->holder.ctx, number, digest, &s, error_r) != 0)
		return -1;
	assert_true(public_key_verify(
	    g->w.crypto, keys->infos[number].key, digest, slice_of((const char *)s.bytes, s.len)));
	return 0;
}

/* The monitor's youngest child; there is one. */
static pid_t
worker_of(const struct rig *g)
{
	char path[64], text[256] = "", *p = text;
	pid_t pid = 0;
	FILE *f;

	(void)snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)g->monitor.pid,
	    (int)g->monitor.pid);
	f = fopen(path, "r");
	if (f == NULL) {
		print_message("no %s\n", path);
		skip();
	}
	assert_non_null(fgets(text, sizeof(text), f));
	(void)fclose(f);
	for (long n; (n = strtol(p, &p, 10)) > 0;)
		pid = (pid_t)n;
	assert_true(pid > 0);
	return pid;
}

static void
signs_from_another_process(void **state)
{
	const struct outgoing_keys *keys;
	const char *error;
	struct rig g;

	(void)state;
	rig_open(&g);
	keys = key_client_keys(g.client);
	assert_int_equal(keys->infos[0].type, KEY_RSA);
	assert_int_equal(keys->infos[0].bits, 1024);
	assert_int_equal(keys->infos[1].type, KEY_ED25519);
	for (int i = 0; i < 50; i++) {
		assert_int_equal(try_sign(&g, 0, &error), 0);
		assert_int_equal(try_sign(&g, 1, &error), 0);
	}
	assert_int_equal(try_sign(&g, 2, &error), -1);
	assert_string_equal(error, "no key of that number");
	rig_close(&g);
}

/* A worker that dies once costs nothing; one that dies again and again is waited for. */
static void
a_dead_worker_is_replaced(void **state)
{
	const char *error;
	struct rig g;

	(void)state;
	rig_open(&g);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(kill(worker_of(&g), SIGKILL), 0);
		assert_int_equal(try_sign(&g, 0, &error), 0);
	}
	rig_close(&g);
}

#define THREADS 4

static void *
sign_often(void *arg)
{
	struct rig *g = arg;
	const char *error;

	for (int i = 0; i < 25; i++)
		if (try_sign(g, (uint32_t)i % 2, &error) != 0)
			return arg;
	return NULL;
}

/* libmilter's threads share a client. */
static void
threads_share_a_worker(void **state)
{
	pthread_t threads[THREADS];
	void *failed;
	struct rig g;

	(void)state;
	rig_open(&g);
	for (size_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, sign_often, &g), 0);
	assert_int_equal(kill(worker_of(&g), SIGKILL), 0);
	for (size_t i = 0; i < THREADS; i++) {
		assert_int_equal(pthread_join(threads[i], &failed), 0);
		assert_null(failed);
	}
	rig_close(&g);
}

static void
without_a_monitor_signatures_fail(void **state)
{
	const char *error;
	struct rig g;

	(void)state;
	rig_open(&g);
	assert_int_equal(kill(g.monitor.pid, SIGKILL), 0);
	key_monitor_stop(&g.monitor);
	assert_int_equal(try_sign(&g, 0, &error), 0); /* the worker lives on */
	rig_close(&g);
	rig_open(&g);
	{
		pid_t worker = worker_of(&g);

		assert_int_equal(kill(g.monitor.pid, SIGKILL), 0);
		assert_int_equal(kill(worker, SIGKILL), 0);
	}
	key_monitor_stop(&g.monitor);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(try_sign(&g, 0, &error), -1);
		assert_string_equal(error, "there is no key worker");
	}
	rig_close(&g);
}

static void
a_new_key_waits_for_a_reload(void **state)
{
	const char *error;
	char *text = NULL;
	struct rig g;

	(void)state;
	rig_open(&g);
	write_key(g.rsa_file, KEY_RSA);
	assert_int_equal(try_sign(&g, 0, &error), 0); /* the old one is in memory */
	assert_int_equal(kill(worker_of(&g), SIGKILL), 0);
	assert_int_equal(try_sign(&g, 0, &error), -1);
	assert_string_equal(error, "the key file has changed: reload");
	assert_int_equal(try_sign(&g, 1, &error), 0);
	key_client_close(&g.client);
	g.client = open_client(&g, &text); /* what a reload does */
	assert_non_null(g.client);
	assert_int_equal(try_sign(&g, 0, &error), 0);
	rig_close(&g);
}

static void
says_what_is_wrong_with_a_key(void **state)
{
	char want[256], *error = NULL;
	struct rig g;

	(void)state;
	rig_open(&g);
	key_client_close(&g.client);
	assert_int_equal(chmod(g.ed_file, 0640 | S_IROTH), 0);
	g.client = open_client(&g, &error);
	assert_null(g.client);
	(void)snprintf(want, sizeof(want),
	    "dkim_key \"ed\": %s: has mode 0644: others could read or change it; chmod 0600",
	    g.ed_file);
	assert_string_equal(error, want);
	free(error);
	(void)unlink(g.ed_file);
	g.client = open_client(&g, &error);
	assert_null(g.client);
	(void)snprintf(
	    want, sizeof(want), "dkim_key \"ed\": %s: No such file or directory", g.ed_file);
	assert_string_equal(error, want);
	free(error);
	rig_close(&g);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(packets_come_back),
		cmocka_unit_test(refuses_what_is_no_packet),
		cmocka_unit_test(garbage_ends_a_worker),
		cmocka_unit_test(signs_from_another_process),
		cmocka_unit_test(a_dead_worker_is_replaced),
		cmocka_unit_test(threads_share_a_worker),
		cmocka_unit_test(without_a_monitor_signatures_fail),
		cmocka_unit_test(a_new_key_waits_for_a_reload),
		cmocka_unit_test(says_what_is_wrong_with_a_key),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
