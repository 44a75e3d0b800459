/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/writer_rig.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "tests/support/backend.h"
#include "tests/support/support.h"

char writer_rig_folder[BACKEND_FOLDER_BYTES];

void
writer_rig_note(void *ctx, const char *text)
{
	struct troubles *t = ctx;

	if (text == NULL) {
		atomic_fetch_add(&t->recovered, 1);
		return;
	}
	(void)pthread_mutex_lock(&t->lock);
	(void)snprintf(t->last, sizeof(t->last), "%s", text);
	(void)pthread_mutex_unlock(&t->lock);
	atomic_fetch_add(&t->told, 1);
}

/* What the writer's thread said last. */
const char *
writer_rig_trouble(struct troubles *t)
{
	static char copy[512];

	(void)pthread_mutex_lock(&t->lock);
	memcpy(copy, t->last, sizeof(copy));
	(void)pthread_mutex_unlock(&t->lock);
	return copy;
}

const char *
writer_rig_file(const char *name)
{
	static char path[128];

	(void)snprintf(path, sizeof(path), "%s/%s", writer_rig_folder, name);
	return path;
}

struct writer *
writer_rig_open(const char *file, uint32_t wait_ms, struct troubles *t)
{
	const struct writer_options options = { .file = file,
		.wait_ms = wait_ms,
		.period_s = 86400,
		.interval_ms = RIG_INTERVAL_MS,
		.trouble = t == NULL ? NULL : writer_rig_note,
		.ctx = t };
	struct writer *w = writer_open(&options);

	assert_non_null(w);
	return w;
}

/* What one message leaves. */
enum writer_outcome
writer_rig_add(struct writer *w, struct arena *a, const struct rig_mail *m)
{
	const struct report_policy policy = { .domain = SLICE("example.com"),
		.p = DMARC_P_REJECT,
		.pct = 100,
		.fo = SLICE("0"),
		.rua = SLICE("mailto:d@example.com") };
	struct report_signature signature = { .domain = SLICE("example.com"),
		.selector = SLICE("selector-2026"),
		.result = DKIM_PASS };
	const struct report_row row = {
		.source = { .family = IP_V4,
		    .bytes = { 10, (uint8_t)(m->source >> 16), (uint8_t)(m->source >> 8),
			(uint8_t)m->source } },
		.disposition = REPORT_D_PASS,
		.dkim_aligned = true,
		.header_from = SLICE("example.com"),
		.envelope_from = SLICE("bounces.example.com"),
		.signatures = &signature,
		.signature_count = 1,
		.has_spf = true,
		.spf_domain = SLICE("bounces.example.com"),
		.spf_result = SPF_PASS,
		.spf_human_result = SLICE("mechanism matched: ip4:10.0.0.0/8"),
		.count = 1,
	};
	enum writer_outcome outcome = writer_add(w, a, &policy, &row, m->at_s, m->waiting);

	arena_reset(a);
	return outcome;
}

static const struct waiting nobody;

enum writer_outcome
add_at(struct writer *w, struct arena *a, unsigned source, int64_t at_s)
{
	return writer_rig_add(w, a, &(const struct rig_mail){ source, at_s, &nobody });
}

enum writer_outcome
add_numbered(struct writer *w, struct arena *a, unsigned n)
{
	return add_at(w, a, n % SOURCES, NOON);
}

enum writer_outcome
add_distinct(struct writer *w, struct arena *a, unsigned n)
{
	return add_at(w, a, n, NOON);
}

double
seconds(clockid_t clock)
{
	struct timespec ts;

	(void)clock_gettime(clock, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}
long long
size_of(const char *file, const char *suffix)
{
	char path[256];
	struct stat st;

	(void)snprintf(path, sizeof(path), "%s%s", file, suffix);
	return stat(path, &st) == 0 ? (long long)st.st_size : 0;
}
void
wait_until_safe(struct writer *w, uint64_t count)
{
	struct writer_counters c;

	for (unsigned i = 0; i < 1000; i++) {
		writer_counters(w, &c);
		if (c.safe >= count)
			return;
		(void)usleep(10000);
	}
	fail_msg("only %llu rows are safe", (unsigned long long)c.safe);
}
