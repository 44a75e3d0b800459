/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         bench - what a message costs, here and elsewhere
 * SYNOPSIS     bench [-q] [-t | -l | -m | -d] [-o FILE] [-s NUMBER]... [-c COUNT]...
 * DESCRIPTION  Measures assayd, the floors and what peers are installed, and prints tables. -o puts
 *              them into FILE as well (doc/performance.md). -q: short rounds, fewer of them. -s,
 * -c: only these subjects (by number, in the order of subject.h), connections. -t: only the table
 * of the small corpus; -l: that, and at half the rate; -m: only that of the mixed corpus; -d: only
 * the cold cache. Wants ASSAY_BUILD, as tests do.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/bench/bench.h"
#include "tests/bench/report.h"

#define SMALL_MESSAGES	  400
#define MIXED_MESSAGES	  200
#define DISTINCT_MESSAGES 1000

struct options {
	bool quick, table_only, paced_only, mixed_only, cold_only;
	bool subjects[SUBJECTS], any_subject;
	bool counts[CONNECTION_COUNTS], any_count;
	const char *file;
};

static void
note_count(struct options *o, unsigned long count)
{
	for (size_t i = 0; i < CONNECTION_COUNTS; i++)
		if (connection_counts[i] == count)
			o->counts[i] = o->any_count = true;
}

static int
read_options(int argc, char **argv, struct options *o)
{
	int c;

	memset(o, 0, sizeof(*o));
	while ((c = getopt(argc, argv, "qtlmdo:s:c:")) != -1) {
		if (c == 'q')
			o->quick = true;
		else if (c == 't')
			o->table_only = true;
		else if (c == 'l')
			o->paced_only = true;
		else if (c == 'm')
			o->mixed_only = true;
		else if (c == 'd')
			o->cold_only = true;
		else if (c == 'o')
			o->file = optarg;
		else if (c == 's' && strtoul(optarg, NULL, 10) < SUBJECTS)
			o->subjects[strtoul(optarg, NULL, 10)] = o->any_subject = true;
		else if (c == 'c')
			note_count(o, strtoul(optarg, NULL, 10));
		else
			return -1;
	}
	return optind == argc ? 0 : -1;
}

static bool
is_wanted(const struct options *o, const struct lab *lab, enum subject_id id)
{
	return (!o->any_subject || o->subjects[id]) && subject_absent(lab, id) == NULL;
}

static void
measure_small(const struct options *o, struct results *r)
{
	struct corpus corpus;
	struct table_plan plan = { .lab = r->lab, .corpus = &corpus, .pace = r->pace };

	corpus_new(&corpus, CORPUS_SMALL, SMALL_MESSAGES);
	for (enum subject_id id = 0; id < SUBJECTS; id++)
		plan.wanted[id] = is_wanted(o, r->lab, id);
	for (size_t i = 0; i < CONNECTION_COUNTS; i++)
		plan.counts[i] = !o->any_count || o->counts[i];
	(void)fprintf(stderr, "small corpus\n");
	measure_table(&plan, &r->small);
	for (enum subject_id id = 0; id <= SUBJECT_ASSAY_NATIVE && !o->table_only; id++) {
		const struct numbers *fast = &r->small.cells[id][PACED_COLUMN];

		(void)fprintf(stderr, "%s: at half the rate\n", subject_name(id));
		if (fast->there)
			measure_paced(&plan, id, fast->rate / 2, &r->paced);
	}
	for (enum subject_id id = SUBJECT_ASSAY_LIBMILTER; id <= SUBJECT_ASSAY_NATIVE; id++)
		if (plan.wanted[id] && !o->table_only && !o->paced_only) {
			(void)fprintf(stderr, "%s: memory\n", subject_name(id));
			measure_memory(&plan, id, &r->memory[id]);
		}
	corpus_free(&corpus);
}

static void
measure_mixed(const struct options *o, struct results *r)
{
	struct corpus corpus;
	struct table_plan plan = {
		.lab = r->lab, .corpus = &corpus, .pace = r->pace, .whole_corpus = true
	};

	corpus_new(&corpus, CORPUS_MIXED, MIXED_MESSAGES);
	for (enum subject_id id = 0; id < SUBJECTS; id++)
		plan.wanted[id] = is_wanted(o, r->lab, id);
	plan.counts[1] = plan.counts[2] = true;
	(void)fprintf(stderr, "mixed corpus\n");
	measure_table(&plan, &r->mixed);
	corpus_free(&corpus);
}

static void
measure_dns(const struct options *o, struct results *r)
{
	struct corpus corpus;

	corpus_new(&corpus, CORPUS_DISTINCT, DISTINCT_MESSAGES);
	(void)fprintf(stderr, "cold cache\n");
	for (enum subject_id id = SUBJECT_ASSAY_LIBMILTER; id <= SUBJECT_ASSAY_NATIVE; id++)
		if (is_wanted(o, r->lab, id))
			cold_measure(r->lab, id, &corpus, r->pace.rounds, &r->cold[id]);
	corpus_free(&corpus);
}

int
main(int argc, char **argv)
{
	struct options o;
	struct lab lab;
	struct results r = { .lab = &lab };
	uint64_t start = now_us();
	const char *build = getenv("ASSAY_BUILD");
	int rc = 0;

	if (read_options(argc, argv, &o) != 0) {
		(void)fprintf(
		    stderr, "usage: bench [-qtlmd] [-o FILE] [-s NUMBER]... [-c COUNT]...\n");
		return EXIT_FAILURE;
	}
	(void)getloadavg(&r.busy, 1);
	lab_open(&lab, build == NULL ? "." : build);
	r.pace = o.quick ? (struct pace){ 3, 0.4 } : (struct pace){ 5, 0.8 };
	for (enum subject_id id = 0; id < SUBJECTS; id++)
		r.wanted[id] = !o.any_subject || o.subjects[id];
	if (!o.cold_only && !o.mixed_only)
		measure_small(&o, &r);
	if (!o.cold_only && !o.table_only && !o.paced_only)
		measure_mixed(&o, &r);
	if (!o.table_only && !o.paced_only && !o.mixed_only)
		measure_dns(&o, &r);
	r.took_s = (double)(now_us() - start) / 1e6;
	report_print(stdout, &r);
	if (o.file != NULL)
		rc = report_into(o.file, &r);
	lab_close(&lab);
	return rc == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
