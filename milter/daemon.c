/* SPDX-License-Identifier: BSD-2-Clause */
#include "milter/daemon.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "milter/front.h"
#include "milter/log.h"
#include "milter/pid_file.h"
#include "milter/privileges.h"
#include "milter/reporter.h"
#include "milter/signals.h"
#include "milter/socket_file.h"
#include "policy/base/limits.h"

#define START_WAIT_MS 5000 /* for libmilter's first threads */
#define STOP_TICK_MS  20   /* how often a stop looks whether all is done */
#define STOP_GRACE_MS 500  /* for the last answers to leave the front */
#define SWEEP_MS      1000 /* how often it is looked whether old services have lost their sessions */

struct server {
	const struct daemon_options *options;
	const struct front *front;
	struct traffic traffic;
	struct key_monitor keys;
	struct service_slot slot;
	struct reporter *reporter; /* NULL: assayd starts none */
	char *socket_path;	   /* NULL: no Unix socket */
	char *pid_file;
	pthread_t main_thread;
	bool front_started;
	atomic_bool front_ended;
};

/* Takes conf. NULL, or heap text: why we would not start with it. */
static char *
check_service(struct conf *conf, const char *conf_file)
{
	struct traffic traffic = { 0 };
	struct key_monitor keys;
	struct service *service;
	struct identity who;
	const char *why = "?";
	char *error = NULL;

	if (identity_find(conf->user, conf->group, &who, &why) != 0) {
		error = heap_copy(arena_printf(conf->arena, "%s: user %s, group %s: %s", conf_file,
		    conf->user, conf->group == NULL ? "(of the user)" : conf->group, why));
		conf_free(&conf);
		return error;
	}
	if (key_monitor_start(&keys, conf_file, &who) != 0) {
		conf_free(&conf);
		return heap_copy(strerror(errno));
	}
	service = service_open(conf, NULL, &traffic, &keys, &error);
	service_unref(&service);
	key_monitor_stop(&keys);
	return error;
}

int
daemon_check(const char *conf_file)
{
	char *error = NULL;
	struct conf *conf = conf_load(conf_file, &error);

	if (conf != NULL)
		error = check_service(conf, conf_file);
	if (error != NULL) {
		(void)fprintf(stderr, "%s\n", error);
		free(error);
		return EXIT_FAILURE;
	}
	(void)printf("%s: configuration is good\n", conf_file);
	return EXIT_SUCCESS;
}

/* ---- start ---- */

static int
open_socket(struct server *d, const struct conf *conf, const struct identity *who)
{
	const char *path = socket_file_path(conf->socket);
	const char *why = "?";

	if (path != NULL && socket_file_clear(path, &why) != 0) {
		log_line(LOG_LEVEL_ERROR, "socket %s: %s", conf->socket, why);
		return -1;
	}
	if (d->front->open(&d->slot, &d->traffic, conf->socket, conf->milter_timeout_s) != 0) {
		log_line(LOG_LEVEL_ERROR, "socket %s: can't listen: %s", conf->socket,
		    errno != 0 ? strerror(errno) : "see syslog");
		return -1;
	}
	if (path == NULL)
		return 0;
	d->socket_path = heap_copy(path);
	if (socket_file_hand_over(path, (mode_t)conf->socket_mode, who, &why) != 0) {
		log_line(LOG_LEVEL_ERROR, "socket %s: %s", conf->socket, why);
		return -1;
	}
	return 0;
}

/* Everything that may need the rights we start with. */
static int
start_privileged(struct server *d, const struct conf *conf)
{
	struct identity who;
	const char *why = "?";

	if (identity_find(conf->user, conf->group, &who, &why) != 0) {
		log_line(LOG_LEVEL_ERROR, "user %s: %s", conf->user, why);
		return -1;
	}
	/* First of all: it shall inherit nothing. */
	if (key_monitor_start(&d->keys, d->options->conf_file, &who) != 0) {
		log_line(LOG_LEVEL_ERROR, "can't start the process that holds keys: %s",
		    strerror(errno));
		return -1;
	}
	if (open_socket(d, conf, &who) != 0)
		return -1;
	if (conf->pid_file != NULL) {
		if (pid_file_write(conf->pid_file) != 0) {
			log_line(
			    LOG_LEVEL_ERROR, "pid_file %s: %s", conf->pid_file, strerror(errno));
			return -1;
		}
		d->pid_file = heap_copy(conf->pid_file);
	}
	record_make_folder(conf, who.wanted, who.uid, who.gid);
	if (privileges_drop(&who, d->options->keep_cores, &why) != 0) {
		log_line(LOG_LEVEL_ERROR, "can't become user %s: %s",
		    conf->user == NULL ? "(unchanged)" : conf->user, why);
		return -1;
	}
	if (geteuid() == 0)
		log_line(
		    LOG_LEVEL_WARNING, "running as root: set user in %s", d->options->conf_file);
	return 0;
}

static void *
front_thread(void *arg)
{
	struct server *d = arg;

	(void)d->front->run();
	atomic_store(&d->front_ended, true);
	/* Did nobody tell it to? Then the listener broke. */
	if (!atomic_load(&d->traffic.closed))
		(void)pthread_kill(d->main_thread, SIGTERM);
	return NULL;
}

/* ---- reload ---- */

static void
warn_unless_equal(const char *setting, const char *was, const char *is)
{
	if (was == is || (was != NULL && is != NULL && strcmp(was, is) == 0))
		return;
	log_line(LOG_LEVEL_WARNING, "reload: %s changes at the next start only", setting);
}

static void
warn_of_what_waits(const struct conf *was, const struct conf *is)
{
	warn_unless_equal("socket", was->socket, is->socket);
	if (was->front != is->front)
		log_line(LOG_LEVEL_WARNING, "reload: front changes at the next start only");
	warn_unless_equal("user", was->user, is->user);
	warn_unless_equal("group", was->group, is->group);
	warn_unless_equal("pid_file", was->pid_file, is->pid_file);
	warn_unless_equal("syslog_facility", was->syslog_facility, is->syslog_facility);
	if (was->log_target != is->log_target)
		log_line(LOG_LEVEL_WARNING, "reload: log_target changes at the next start only");
	if (was->socket_mode != is->socket_mode)
		log_line(LOG_LEVEL_WARNING, "reload: socket_mode changes at the next start only");
	if (was->milter_timeout_s != is->milter_timeout_s)
		log_line(
		    LOG_LEVEL_WARNING, "reload: milter_timeout changes at the next start only");
	warn_unless_equal("report_program", was->reports.program, is->reports.program);
	if (was->reports.run != is->reports.run)
		log_line(LOG_LEVEL_WARNING, "reload: report_run changes at the next start only");
}

static void
reload(struct server *d)
{
	struct service *old = service_slot_get(&d->slot), *next = NULL;
	char *error = NULL;
	struct conf *conf = conf_load(d->options->conf_file, &error);

	if (conf != NULL) {
		warn_of_what_waits(service_conf(old), conf);
		next = service_open(conf, old, &d->traffic, &d->keys, &error);
	}
	if (next == NULL) {
		log_lines(LOG_LEVEL_ERROR, "reload: ", error);
		log_line(LOG_LEVEL_ERROR, "reload failed, the old configuration stays");
		free(error);
	} else {
		bool kept = service_same_resolver(old, next);

		service_start_recorder(next, old);

		/* First done, then said: who reads the line may count on it. */
		service_slot_set(&d->slot, next);
		reporter_reload(d->reporter);
		log_line(LOG_LEVEL_INFO, "reloaded %s, dns cache %s", d->options->conf_file,
		    kept ? "kept" : "new");
	}
	service_unref(&old);
}

/* ---- statistics ---- */

static unsigned long long
count(atomic_uint_fast64_t *counter)
{
	return (unsigned long long)atomic_load(counter);
}

static void
log_statistics(struct server *d)
{
	struct service *service = service_slot_get(&d->slot);
	struct traffic *t = &d->traffic;
	struct resolver_stats r;

	service_resolver_stats(service, &r);
	service_unref(&service);
	log_line(LOG_LEVEL_INFO,
	    "statistics sessions_open=%llu messages_open=%llu sessions=%llu messages=%llu "
	    "accept=%llu reject=%llu quarantine=%llu tempfail=%llu discard=%llu skipped=%llu "
	    "aborted=%llu refused_edits=%llu",
	    count(&t->sessions_open), count(&t->messages_open), count(&t->sessions),
	    count(&t->messages), count(&t->by_action[ACTION_ACCEPT]),
	    count(&t->by_action[ACTION_REJECT]), count(&t->by_action[ACTION_QUARANTINE]),
	    count(&t->by_action[ACTION_TEMPFAIL]), count(&t->by_action[ACTION_DISCARD]),
	    count(&t->skipped), count(&t->aborted), count(&t->refused_edits));
	log_line(LOG_LEVEL_INFO, "statistics reports rows=%llu late=%llu lost=%llu",
	    count(&t->rows), count(&t->rows_late), count(&t->rows_lost));
	log_line(LOG_LEVEL_INFO,
	    "statistics dns questions=%llu cache_hits=%llu joined=%llu upstream=%llu "
	    "tempfails=%llu evictions=%llu cache_bytes=%zu cache_entries=%zu in_flight=%zu",
	    (unsigned long long)r.questions, (unsigned long long)r.cache_hits,
	    (unsigned long long)r.joined, (unsigned long long)r.upstream,
	    (unsigned long long)r.tempfails, (unsigned long long)r.evictions, r.cache_bytes,
	    r.cache_entries, r.in_flight);
}

/* ---- serve and stop ---- */

/* True: stop. */
static bool
handle_signal(struct server *d, int sig)
{
	switch (sig) {
	case SIGHUP:
		reload(d);
		return false;
	case SIGUSR1:
		log_statistics(d);
		return false;
	case SIGTERM:
	case SIGINT:
		return true;
	default: /* 0: none came */
		return false;
	}
}

/* Wait until *counter is 0. False: not in that time, or told a second time to stop. */
static bool
wait_for_none(atomic_uint_fast64_t *counter, uint32_t wait_ms)
{
	for (uint32_t ms = 0; atomic_load(counter) > 0; ms += STOP_TICK_MS) {
		int sig = signals_next(STOP_TICK_MS);

		if (ms >= wait_ms || sig == SIGTERM || sig == SIGINT)
			return false;
	}
	return true;
}

static void
remove_files(const struct server *d)
{
	/* At once: who starts next finds the place free, and our end won't take his. */
	if (d->socket_path != NULL)
		(void)unlink(d->socket_path);
	if (d->pid_file != NULL)
		(void)unlink(d->pid_file);
}

/*
 * Nothing new is taken, messages that had begun are finished and answered, and then the process
 * ends, whatever idle connections are still there: their MTA sees them closed. True: the front has
 * ended as well, and nobody uses its memory any more.
 */
static bool
stop(struct server *d, pthread_t front)
{
	bool ends;

	log_line(LOG_LEVEL_INFO, "stopping, messages_open=%llu", count(&d->traffic.messages_open));
	traffic_close(&d->traffic);
	reporter_stop(&d->reporter);
	ends = d->front->stop();
	remove_files(d);
	if (!wait_for_none(&d->traffic.messages_open, LIMIT_STOP_WAIT_MS))
		log_line(LOG_LEVEL_WARNING, "cut off messages_open=%llu",
		    count(&d->traffic.messages_open));
	else
		(void)wait_for_none(&d->traffic.sessions_open, STOP_GRACE_MS);
	log_statistics(d);
	ends = ends && atomic_load(&d->traffic.sessions_open) == 0 &&
	    pthread_join(front, NULL) == 0;
	log_line(LOG_LEVEL_INFO, "stopped");
	return ends;
}

static void
start_reporter(struct server *d, const struct conf_reports *reports)
{
	if (reports->run)
		d->reporter = reporter_start(
		    reports->program != NULL ? reports->program : d->options->report_program,
		    d->options->conf_file);
}

/* Other threads are at work: nothing is taken down under them, nor do libraries end by exit(). Rows
 * for reports are in the journal. */
static _Noreturn void
leave(const struct server *d)
{
	remove_files(d);
	_exit(EXIT_FAILURE);
}

/* Until it is time to stop. */
static void
hear_signals(struct server *d)
{
	uint32_t wait_ms;

	do
		wait_ms = service_slot_sweep(&d->slot) ? SWEEP_MS : SIGNALS_WAIT;
	while (!handle_signal(d, signals_next(wait_ms)));
}

static int
serve(struct server *d, struct service *first)
{
	const char *trouble;
	pthread_t thread;

	service_slot_init(&d->slot, first);
	d->main_thread = pthread_self();
	if (pthread_create(&thread, NULL, front_thread, d) != 0) {
		log_line(LOG_LEVEL_ERROR, "can't start a thread");
		service_slot_fini(&d->slot);
		remove_files(d);
		return EXIT_FAILURE;
	}
	d->front_started = true;
	trouble = d->front->trouble(START_WAIT_MS);
	if (trouble != NULL) {
		log_line(LOG_LEVEL_ERROR, "front %s: %s", d->front->name, trouble);
		leave(d);
	}
	log_line(LOG_LEVEL_INFO, "serving on %s, front %s, configuration %s",
	    service_conf(first)->socket, d->front->name, d->options->conf_file);
	start_reporter(d, &service_conf(first)->reports);
	hear_signals(d);
	if (atomic_load(&d->front_ended)) {
		log_line(LOG_LEVEL_ERROR, "front %s gave up listening", d->front->name);
		reporter_stop(&d->reporter);
		leave(d);
	}
	d->front_started = !stop(d, thread);
	if (atomic_load(&d->traffic.sessions_open) > 0)
		_exit(EXIT_SUCCESS); /* other threads may still use all of this */
	service_slot_fini(&d->slot);
	return EXIT_SUCCESS;
}

/* Takes conf. */
static int
start(struct server *d, struct conf *conf)
{
	struct service *service;
	char *error = NULL;

	d->front = conf->front == CONF_FRONT_NATIVE ? &front_native : &front_libmilter;
	log_open(conf->log_target, conf->syslog_facility);
	signals_block();
	if (start_privileged(d, conf) != 0) {
		conf_free(&conf);
		remove_files(d);
		return EXIT_FAILURE;
	}
	service = service_open(conf, NULL, &d->traffic, &d->keys, &error);
	if (service == NULL) {
		log_lines(LOG_LEVEL_ERROR, "", error);
		free(error);
		remove_files(d);
		return EXIT_FAILURE;
	}
	service_start_recorder(service, NULL);
	return serve(d, service);
}

int
daemon_main(const struct daemon_options *options)
{
	/* On the heap: threads of libmilter know its address until the process is gone. */
	struct server *d = heap_alloc(1, sizeof(*d));
	char *error = NULL;
	struct conf *conf = conf_load(options->conf_file, &error);
	int status;

	if (conf == NULL) {
		log_lines(LOG_LEVEL_ERROR, "", error);
		free(error);
		free(d);
		return EXIT_FAILURE;
	}
	d->options = options;
	status = start(d, conf);
	free(d->socket_path);
	free(d->pid_file);
	if (!d->front_started)
		free(d);
	return status;
}
