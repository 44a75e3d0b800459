/* SPDX-License-Identifier: BSD-2-Clause */
#include "milter/record.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "config.h"
#include "milter/log.h"
#include "report/exempt.h"
#include "report/writer.h"

#define FOLDER_MODE  0750
#define LOGGED_BYTES 640 /* of what was logged last; more is not compared */

struct recorder {
	atomic_uint refs;
	struct traffic *traffic;
	struct writer *writer;
	char *file;
	uint8_t failure_key[HASH_KEY_BYTES]; /* what stands for local parts in failure reports */

	/* the writer's thread alone */
	time_t logged_s; /* 0: not since it worked */
	char logged[LOGGED_BYTES];
};

static time_t
monotonic_s(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec;
}

/* One fault may hide another, and what was done about one is told only once. */
static bool
was_just_logged(const struct recorder *r, const char *text, time_t now)
{
	return r->logged_s != 0 && now - r->logged_s < RECORD_LOG_EVERY_S &&
	    strncmp(r->logged, text, LOGGED_BYTES - 1) == 0;
}

static void
trouble(void *ctx, const char *text)
{
	struct recorder *r = ctx;
	time_t now = monotonic_s();

	if (text == NULL) {
		log_line(LOG_LEVEL_INFO, "report store: works again, late=%llu lost=%llu",
		    (unsigned long long)atomic_load(&r->traffic->rows_late),
		    (unsigned long long)atomic_load(&r->traffic->rows_lost));
		r->logged_s = 0;
		return;
	}
	if (was_just_logged(r, text, now))
		return;
	r->logged_s = now;
	(void)snprintf(r->logged, sizeof(r->logged), "%s", text);
	log_line(LOG_LEVEL_ERROR, "report store: %s; mail goes on without, late=%llu lost=%llu",
	    text, (unsigned long long)atomic_load(&r->traffic->rows_late),
	    (unsigned long long)atomic_load(&r->traffic->rows_lost));
}

static struct writer_options
options_of(const struct conf *conf)
{
	return (struct writer_options){
		.file = conf->report_store,
		.wait_ms = conf->report_store_wait_ms,
		.period_s = conf->report_period_s,
		.keep_s = conf->report_keep_s,
	};
}

struct recorder *
recorder_open(const struct conf *conf, struct traffic *traffic)
{
	struct writer_options options = options_of(conf);
	struct recorder *r;

	if (conf->report_store == NULL)
		return NULL;
	r = heap_alloc(1, sizeof(*r));
	atomic_init(&r->refs, 1);
	r->traffic = traffic;
	r->file = heap_copy(conf->report_store);
	options.trouble = trouble;
	options.ctx = r;
	if (getrandom(r->failure_key, sizeof(r->failure_key), 0) != (ssize_t)sizeof(r->failure_key))
		bug("getrandom: %s", strerror(errno));
	r->writer = writer_open(&options);
	if (r->writer == NULL) {
		log_line(LOG_LEVEL_ERROR, "report store: can't start a thread");
		recorder_unref(&r);
	}
	return r;
}

struct recorder *
recorder_ref(struct recorder *r)
{
	if (r != NULL)
		atomic_fetch_add(&r->refs, 1);
	return r;
}

void
recorder_unref(struct recorder **rp)
{
	struct recorder *r = *rp;

	*rp = NULL;
	if (r == NULL || atomic_fetch_sub(&r->refs, 1) != 1)
		return;
	writer_close(&r->writer);
	free(r->file);
	free(r);
}

bool
recorder_fits(const struct recorder *r, const struct conf *conf)
{
	if (r == NULL || conf->report_store == NULL)
		return r == NULL && conf->report_store == NULL;
	return strcmp(r->file, conf->report_store) == 0;
}

void
recorder_change(struct recorder *r, const struct conf *conf)
{
	const struct writer_options options = options_of(conf);

	if (r != NULL)
		writer_change(r->writer, &options);
}

void
record_message(struct recorder *r, struct arena *a, const struct verdict *v,
    const struct disposition *d, const struct header_list *header, struct slice recipient,
    const struct waiting *waiting)
{
	const struct report_message message = { v, d, header, recipient };
	struct report_policy policy;
	struct report_row row;

	if (r == NULL || report_row_make(a, &message, &policy, &row) != NULL)
		return;
	switch (writer_add(r->writer, a, &policy, &row, v->now_s, waiting)) {
	case WRITER_SAFE:
		atomic_fetch_add(&r->traffic->rows, 1);
		break;
	case WRITER_LATE:
		atomic_fetch_add(&r->traffic->rows_late, 1);
		break;
	case WRITER_LOST:
		atomic_fetch_add(&r->traffic->rows_lost, 1);
		break;
	}
}

void
record_failure(struct recorder *r, const struct conf *conf, struct arena *a,
    const struct verdict *v, const struct disposition *d, const struct header_list *header,
    const struct record_envelope *envelope)
{
	struct failure_options options = { .redact = conf->failures.redact,
		.authserv_id = conf->authserv_id,
		.reporting_mta = conf->hostname,
		.user_agent = SLICE("assay/" PACKAGE_VERSION) };
	const struct failure_message message = { .verdict = v,
		.disposition = d,
		.header = header,
		.recipients = envelope->recipients,
		.recipient_count = envelope->recipient_count,
		.queue_id = envelope->queue_id };
	struct failure_event event;

	if (r == NULL || !conf->failures.enabled || report_exempt(a, v, header) != NULL)
		return;
	/* Of those that were not remembered nothing can be left out. */
	if (options.redact && !envelope->all_recipients)
		return;
	memcpy(options.key, r->failure_key, sizeof(options.key));
	if (failure_event_make(a, &options, &message, v->now_s, &event))
		(void)writer_add_failure(r->writer, &event);
}

void
record_make_folder(const struct conf *conf, bool change_owner, uid_t uid, gid_t gid)
{
	const char *slash = conf->report_store == NULL ? NULL : strrchr(conf->report_store, '/');
	char *folder;

	if (slash == NULL || slash == conf->report_store)
		return;
	folder = heap_copy(conf->report_store);
	folder[slash - conf->report_store] = '\0';
	if (mkdir(folder, FOLDER_MODE) == 0) {
		if (chmod(folder, FOLDER_MODE) != 0 ||
		    (change_owner && chown(folder, uid, gid) != 0))
			log_line(LOG_LEVEL_WARNING, "report_store: folder %s: %s", folder,
			    strerror(errno));
	} else if (errno != EEXIST) {
		log_line(LOG_LEVEL_WARNING, "report_store: can't make folder %s: %s", folder,
		    strerror(errno));
	}
	free(folder);
}
