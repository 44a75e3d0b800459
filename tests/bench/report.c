/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/bench/report.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "policy/base/bug.h"

#define MARK_BEGIN "<!-- made by make bench: begin -->\n"
#define MARK_END   "<!-- made by make bench: end -->\n"
#define FILE_MAX   (1u << 20)

static const enum subject_id fronts[] = { SUBJECT_ASSAY_LIBMILTER, SUBJECT_ASSAY_NATIVE };

/* ---- where and when ---- */

static void
print_machine(FILE *f, const struct results *r)
{
	char line[256], model[128] = "unknown processor";
	struct utsname u;
	time_t now = time(NULL);
	struct tm tm;
	FILE *cpu = fopen("/proc/cpuinfo", "r");

	while (cpu != NULL && fgets(line, sizeof(line), cpu) != NULL)
		if (strncmp(line, "model name", 10) == 0 && strchr(line, ':') != NULL)
			(void)snprintf(model, sizeof(model), "%.*s",
			    (int)strcspn(strchr(line, ':') + 2, "\n"), strchr(line, ':') + 2);
	if (cpu != NULL)
		(void)fclose(cpu);
	(void)uname(&u);
	(void)gmtime_r(&now, &tm);
	(void)strftime(line, sizeof(line), "%Y-%m-%d %H:%M", &tm);
	(void)fprintf(f,
	    "Measured %s UTC on %ld processors (%s), Linux %s, gcc %s, %s, in %.0f s: ", line,
	    sysconf(_SC_NPROCESSORS_ONLN), model, u.release, __VERSION__,
	    OpenSSL_version(OPENSSL_VERSION), r->took_s);
	(void)fprintf(f,
	    "%zu rounds of %.1f s each, their medians; the load average was %.1f before.\n\n",
	    r->pace.rounds, r->pace.round_s, r->busy);
}

/* ---- the tables ---- */

static void
print_numbers(FILE *f, const struct numbers *n, size_t connections, enum subject_id id)
{
	(void)fprintf(f, "| %s | %zu | %.0f | %.3f | %.2f / %.2f | %.2f / %.2f | %.1f |%s\n",
	    subject_name(id), connections, n->rate, n->cpu_ms, n->whole_p50_ms, n->whole_p99_ms,
	    n->end_p50_ms, n->end_p99_ms, (double)n->peak_kb / 1024,
	    n->wrong + n->broken == 0 ? "" : " **wrong answers** |");
}

/* Both pass each message: what they cost adds up. */
static void
print_pair(FILE *f, const struct table *t, size_t column)
{
	const struct numbers *a = &t->cells[SUBJECT_OPENDKIM][column];
	const struct numbers *b = &t->cells[SUBJECT_OPENDMARC][column];

	if (a->there && b->there)
		(void)fprintf(f, "| OpenDKIM then OpenDMARC, summed | %zu | | %.3f | | | %.1f |\n",
		    connection_counts[column], a->cpu_ms + b->cpu_ms,
		    (double)(a->peak_kb + b->peak_kb) / 1024);
}

static bool
is_empty(const struct table *t)
{
	for (enum subject_id id = 0; id < SUBJECTS; id++)
		for (size_t column = 0; column < CONNECTION_COUNTS; column++)
			if (t->cells[id][column].there)
				return false;
	return true;
}

static void
print_table(FILE *f, const char *title, const struct table *t)
{
	if (is_empty(t))
		return;
	(void)fprintf(f,
	    "### %s\n\n| filter | connections | messages/s | CPU ms a message | message p50 / p99 "
	    "ms "
	    "| end of message p50 / p99 ms | peak RSS MB |\n|---|---|---|---|---|---|---|\n",
	    title);
	for (size_t column = 0; column < CONNECTION_COUNTS; column++) {
		for (enum subject_id id = 0; id < SUBJECTS; id++)
			if (t->cells[id][column].there)
				print_numbers(
				    f, &t->cells[id][column], connection_counts[column], id);
		print_pair(f, t, column);
	}
	(void)fprintf(f, "\n");
}

/* ---- the targets ---- */

static void
target(FILE *f, const char *what, double got, double want, const char *unit)
{
	(void)fprintf(f, "| %s | at most %.2f%s | %.2f%s | %s |\n", what, want, unit, got, unit,
	    got <= want ? "yes" : "**no**");
}

/* CPU of a subject against that of another in the same run. */
static void
ratio(FILE *f, const struct table *t, size_t column, enum subject_id of, enum subject_id to,
    double want, const char *corpus)
{
	const struct numbers *a = &t->cells[of][column], *b = &t->cells[to][column];
	char what[256];

	if (!a->there || !b->there || b->cpu_ms <= 0)
		return;
	(void)snprintf(what, sizeof(what), "CPU of %s to that of %s, %s, %zu connections",
	    subject_name(of), subject_name(to), corpus, connection_counts[column]);
	target(f, what, a->cpu_ms / b->cpu_ms, want, "");
}

static void
print_ratios(FILE *f, const struct results *r)
{
	for (size_t column = 1; column <= 2; column++) {
		ratio(f, &r->small, column, SUBJECT_ASSAY_LIBMILTER, SUBJECT_NULL_LIBMILTER, 1.25,
		    "small corpus");
		ratio(f, &r->small, column, SUBJECT_ASSAY_NATIVE, SUBJECT_NULL_BARE, 2.0,
		    "small corpus");
		ratio(f, &r->small, column, SUBJECT_ASSAY_NATIVE, SUBJECT_RSPAMD, 1.0 / 3,
		    "small corpus");
		ratio(f, &r->mixed, column, SUBJECT_ASSAY_LIBMILTER, SUBJECT_NULL_LIBMILTER, 1.4,
		    "mixed corpus");
		ratio(f, &r->mixed, column, SUBJECT_ASSAY_NATIVE, SUBJECT_NULL_BARE, 1.4,
		    "mixed corpus");
	}
}

static void
front_target(
    FILE *f, enum subject_id id, const char *what, double got, double want, const char *unit)
{
	char text[512];

	(void)snprintf(text, sizeof(text), "%s: %s", subject_name(id), what);
	target(f, text, got, want, unit);
}

static void
print_memory(FILE *f, const struct results *r, enum subject_id id)
{
	const struct memory *m = &r->memory[id];
	const struct numbers *few = &r->small.cells[id][2], *many = &r->small.cells[id][3];

	if (few->there)
		front_target(
		    f, id, "peak RSS at 64 connections", (double)few->peak_kb / 1024, 24, " MB");
	if (many->there)
		front_target(
		    f, id, "peak RSS at 512 connections", (double)many->peak_kb / 1024, 64, " MB");
	if (!m->there)
		return;
	front_target(f, id, "RSS of each idle connection beyond 64",
	    ((double)m->idle_many_kb - (double)m->idle_few_kb) / (512 - 64), 32, " KB");
	if (m->large_kb > 0 && m->small_kb > 0)
		front_target(f, id, "peak RSS with a message of 100 MB, beyond that with 1 MB",
		    ((double)m->large_kb - (double)m->small_kb) / 1024, 1, " MB");
}

static void
print_latency(FILE *f, const struct results *r, enum subject_id id)
{
	const struct numbers *n = &r->small.cells[id][2];
	const struct numbers *p = &r->paced.cells[id][PACED_COLUMN];
	char what[256];

	if (n->there)
		front_target(f, id, "p99 of end of message, 64 connections, as fast as it can",
		    n->end_p99_ms, 3, " ms");
	if (!p->there)
		return;
	(void)snprintf(what, sizeof(what),
	    "p99 of end of message, 64 connections, half of that rate (%.0f a second)", p->rate);
	front_target(f, id, what, p->end_p99_ms, 3, " ms");
}

static void
front_floor(FILE *f, enum subject_id id, const char *what, double got, double want)
{
	(void)fprintf(f, "| %s: %s | at least %.2f | %.2f | %s |\n", subject_name(id), what, want,
	    got, got >= want ? "yes" : "**no**");
}

static void
print_cold(FILE *f, const struct results *r, enum subject_id id)
{
	const struct cold *c = &r->cold[id];
	char what[256];

	if (!c->there)
		return;
	(void)snprintf(what, sizeof(what),
	    "rate with a cold cache, DNS of %d ms, %d connections, %zu domains, to what %d lookups "
	    "one "
	    "after the other allow (p50 of a message %.1f ms, %.2f ms CPU)%s",
	    COLD_LATENCY_MS, COLD_CONNECTIONS, c->messages, COLD_STEPS, c->p50_ms, c->cpu_ms,
	    c->wrong == 0 ? "" : " **wrong answers**");
	front_floor(f, id, what, cold_least_s(c->messages) / c->all_s, 0.9);
	(void)snprintf(what, sizeof(what),
	    "the same once under way, that is without the first %zu messages after the start",
	    COLD_LEAD_IN);
	front_floor(f, id, what, cold_least_s(c->messages - COLD_LEAD_IN) / c->after_s, 0.9);
	(void)fprintf(f,
	    "| %s: upstream queries for %llu different questions | %llu | %llu | %s |\n",
	    subject_name(id), (unsigned long long)c->distinct, (unsigned long long)c->distinct,
	    (unsigned long long)c->queries, c->queries == c->distinct ? "yes" : "**no**");
}

void
report_print(FILE *f, const struct results *r)
{
	print_machine(f, r);
	(void)fprintf(
	    f, "### Targets\n\n| what | target | measured | reached |\n|---|---|---|---|\n");
	print_ratios(f, r);
	for (size_t i = 0; i < sizeof(fronts) / sizeof(fronts[0]); i++) {
		print_memory(f, r, fronts[i]);
		print_latency(f, r, fronts[i]);
		print_cold(f, r, fronts[i]);
	}
	(void)fprintf(f, "\n");
	print_table(f, "Small corpus: bodies of 2 KB", &r->small);
	print_table(f, "Small corpus, at half the rate that each filter has above", &r->paced);
	print_table(f, "Mixed corpus: bodies of 2 KB (70%), 20 KB (20%), 200 KB (9%), 5 MB (1%)",
	    &r->mixed);
	for (enum subject_id id = 0; id < SUBJECTS; id++)
		if (r->wanted[id] && subject_absent(r->lab, id) != NULL)
			(void)fprintf(f, "Not measured: %s (%s).\n", subject_name(id),
			    subject_absent(r->lab, id));
}

int
report_into(const char *path, const struct results *r)
{
	char *text = heap_alloc(1, FILE_MAX), *begin, *end;
	FILE *f = fopen(path, "r");

	if (f != NULL) {
		text[fread(text, 1, FILE_MAX - 1, f)] = '\0';
		(void)fclose(f);
	}
	begin = strstr(text, MARK_BEGIN);
	end = strstr(text, MARK_END);
	if (begin == NULL || end == NULL || end < begin || (f = fopen(path, "w")) == NULL) {
		(void)fprintf(stderr, "%s: no place for the tables\n", path);
		free(text);
		return -1;
	}
	begin += strlen(MARK_BEGIN);
	(void)fwrite(text, 1, (size_t)(begin - text), f);
	(void)fprintf(f, "\n");
	report_print(f, r);
	(void)fprintf(f, "\n%s", end);
	free(text);
	return fclose(f) == 0 ? 0 : -1;
}
