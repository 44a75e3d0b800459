/* SPDX-License-Identifier: BSD-2-Clause */
#include "cli/report.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "policy/base/strbuf.h"
#include "report/failure_send.h"

#define DUE_MAX 10000 /* deliveries rehearsed */
#define LEASE_S 900   /* a fleet: one that dies is followed by another after this */
#define NAP_MS	60000 /* run: at most this long until it looks again */

struct work {
	struct report_run *run;
	struct arena *arena; /* of one pass: a run has many */
	bool counting;	     /* a terminal: one line of counts instead of a line each */
	size_t made, passed_over, taken, failed;
	int status; /* the worst so far */

	const struct sender *sender; /* of make_and_send() */
	struct send_counts sent;

	bool holds_lease;
	int64_t lease_taken_s; /* of lease_clock_s() */
};

static volatile sig_atomic_t stop_asked;

static void
ask_to_stop(int number)
{
	(void)number;
	stop_asked = 1;
}

bool
report_must_stop(const struct report_run *r, int wait_ms)
{
	struct pollfd in = { .fd = r->options.until_eof ? STDIN_FILENO : -1, .events = POLLIN };
	char bytes[256];

	if (stop_asked)
		return true;
	if (poll(&in, 1, wait_ms) > 0 && read(STDIN_FILENO, bytes, sizeof(bytes)) <= 0)
		stop_asked = 1;
	return stop_asked != 0;
}

static int64_t
now_s(void *ctx)
{
	const struct work *w = ctx;

	return report_now_s(w->run);
}

/* ---- what is said ---- */

static void
count(const struct work *w)
{
	if (w->counting)
		(void)fprintf(stderr, "\r%zu made, %zu not to be made, %zu sent, %zu not sent ",
		    w->made, w->passed_over, w->taken, w->failed);
}

static void
end_count(const struct work *w)
{
	if (w->counting && w->made + w->passed_over + w->taken + w->failed > 0)
		(void)fputc('\n', stderr);
}

static void
worsen(struct work *w, int status)
{
	if (w->status == 0 || w->status == EXIT_TEMPFAIL)
		w->status = status;
}

static void
say(struct work *w, bool bad, const char *what, const char *whom, const char *why)
{
	if (w->counting && !bad)
		return;
	if (w->counting)
		(void)fputc('\n', stderr);
	(void)printf("%s %s: %s%s%s\n", report_time(w->arena, report_now_s(w->run)), what, whom,
	    why[0] != '\0' ? ": " : "", why);
	(void)fflush(stdout);
}

static void
watch_make(
    void *ctx, const struct store_period *period, const struct composition *c, const char *error)
{
	struct work *w = ctx;
	const char *domain = report_shown(w->arena, period->domain);

	if (error != NULL) {
		w->failed++;
		worsen(w, EXIT_REFUSED);
		say(w, true, "report not made", domain, error);
	} else if (c->outcome == COMPOSE_LATER) {
		worsen(w, EXIT_TEMPFAIL);
		say(w, true, "report put off", domain, c->why);
	} else if (c->outcome == COMPOSE_SKIP) {
		w->passed_over++;
		say(w, false, "no report", domain, c->why);
	} else {
		w->made++;
		say(w, false, "report made", domain, arena_str(w->arena, c->report.report_id));
	}
	count(w);
}

static const struct {
	const char *text;
	bool bad;
	int status;
} events[SEND_EVENTS] = {
	[SEND_ACCEPTED] = { "sent to", false, 0 },
	[SEND_REFUSED] = { "refused by", true, EXIT_REFUSED },
	[SEND_LATER] = { "not yet taken by", true, EXIT_TEMPFAIL },
	[SEND_GIVEN_UP] = { "given up", true, EXIT_REFUSED },
	[SEND_SUPPRESSED] = { "left alone", false, 0 },
	[SEND_LIMITED] = { "left for tomorrow", false, EXIT_TEMPFAIL },
	[SEND_BROKEN] = { "message not made for", true, EXIT_TEMPFAIL },
};

static void
watch_send(void *ctx, enum send_event event, const struct outbox_delivery *d, struct slice text)
{
	struct work *w = ctx;
	struct arena *a = w->arena;

	if (event == SEND_ACCEPTED)
		w->taken++;
	else
		w->failed++;
	if (events[event].status != 0)
		worsen(w, events[event].status);
	say(w, events[event].bad, events[event].text,
	    arena_printf(
		a, "%s (%s)", report_shown(a, d->to.address), report_shown(a, d->report_id)),
	    report_shown(a, text));
	count(w);
}

/* ---- a fleet: rows go to the database of all, and one node makes the reports ---- */

static const char lease_name[] = "reports";

/* What can't go there now stays here; the others' reports don't wait for it. */
static void
ship(struct work *w)
{
	struct ship_result result = { 0 };
	const char *error = "?";

	if (w->run->shipper == NULL)
		return;
	if (shipper_run(w->run->shipper, &result, &error) != 0)
		worsen(w, report_complain(EXIT_TEMPFAIL, "report_database", error));
	else if (result.rows > 0)
		say(w, false, "shipped to report_database",
		    arena_printf(w->arena, "%llu rows, %llu messages",
			(unsigned long long)result.rows, (unsigned long long)result.messages),
		    "");
}

/* 1: ours to make and send; 0: another's; -1: the database fails. */
static int
take_lease(struct work *w, const char **error_r)
{
	struct report_run *r = w->run;
	int taken;

	if (r->conf->report_database == NULL)
		return 1;
	w->lease_taken_s = lease_clock_s();
	taken = lease_take(r->db, lease_name, r->node_holder, LEASE_S, error_r);
	w->holds_lease = taken == 1;
	return taken;
}

/* Asked between periods and deliveries; keeps the lease, and stops where it is another's now. */
static bool
must_stop(void *ctx)
{
	struct work *w = ctx;
	struct report_run *r = w->run;
	const char *error;

	return report_must_stop(r, 0) ||
	    (w->holds_lease &&
		lease_keep(r->db, lease_name, r->node_holder, LEASE_S, &w->lease_taken_s, &error) !=
		    1);
}

static int
still_ours(void *ctx, const char **error_r)
{
	const struct work *w = ctx;

	return lease_held(w->run->db, lease_name, w->run->node_holder, error_r);
}

static void
give_lease_back(struct work *w)
{
	struct report_run *r = w->run;
	const char *error;

	w->holds_lease = false;
	if (r->conf->report_database != NULL)
		(void)lease_release(r->db, lease_name, r->node_holder, &error);
}

/* ---- one pass: make, send, forget what is old ---- */

static struct maker
maker_of(struct work *w, make_watch_fn *watch)
{
	struct report_run *r = w->run;

	return (struct maker){
		.settle_s = r->conf->reports.settle_s,
		.arena = w->arena,
		.db = r->db,
		.composer = { r->store, r->resolver, r->crypto, &r->compose, 0 },
		.watch = watch,
		.may = r->conf->report_database != NULL ? still_ours : NULL,
		.stop = must_stop,
		.ctx = w,
	};
}

static int
forget(struct report_run *r, const char **error_r)
{
	int64_t now = report_now_s(r);
	int64_t kept_since = now - r->conf->report_keep_s;
	int more = 1;

	if (outbox_expire(r->db, kept_since, error_r) != 0)
		return -1;
	while (more == 1) {
		if (db_begin(r->db, error_r) != 0)
			return -1;
		more = store_prune(r->store, kept_since, kept_since, error_r);
		if (more >= 0 && db_commit(r->db, error_r) != 0)
			more = -1;
		if (more < 0)
			db_rollback(r->db);
	}
	return more;
}

/* Periods that went unreported, this node's or the fleet's: said once. */
static void
say_forgotten(void *ctx, const struct store_forgotten *f)
{
	struct work *w = ctx;

	w->failed++;
	worsen(w, EXIT_REFUSED);
	say(w, true, "never reported", report_forgotten_name(w->arena, f),
	    report_forgotten_text(w->arena, f));
}

static void
count_forgotten(void *ctx, const struct store_forgotten *f)
{
	(void)f;
	++*(size_t *)ctx;
}

static int
tell_forgotten_of(struct work *w, struct db *db, struct store *s, const char **error_r)
{
	size_t count = 0;

	if (store_forgotten(s, count_forgotten, &count, error_r) != 0)
		return -1;
	if (count == 0) /* as ever: nothing to write */
		return 0;
	if (db_begin(db, error_r) != 0)
		return -1;
	if (store_forgotten(s, say_forgotten, w, error_r) == 0 &&
	    store_forgotten_clear(s, error_r) == 0 && db_commit(db, error_r) == 0)
		return 0;
	db_rollback(db);
	return -1;
}

/* Those of a node's own store are what could not be shipped for so long. */
static int
tell_forgotten(struct work *w, const char **error_r)
{
	struct report_run *r = w->run;
	struct store *node;
	int rc = tell_forgotten_of(w, r->db, r->store, error_r);

	if (rc != 0 || r->queue == NULL || r->queue == r->db)
		return rc;
	node = store_open(r->queue, error_r);
	if (node == NULL)
		return -1;
	rc = tell_forgotten_of(w, r->queue, node, error_r);
	store_close(&node);
	return rc;
}

static void
watch_failure(
    void *ctx, enum send_event event, const char *domain, const char *address, const char *text)
{
	struct work *w = ctx;

	if (event == SEND_ACCEPTED)
		w->taken++;
	else
		w->failed++;
	say(w, false, events[event].text,
	    arena_printf(w->arena, "%s (failure report about %s)",
		report_shown(w->arena, slice_str(address)),
		report_shown(w->arena, slice_str(domain))),
	    report_shown(w->arena, slice_str(text)));
	count(w);
}

/* They wait on the machine that they are about: not in the database of a fleet. */
static int
send_failures(struct work *w, const struct sender *sender, const char **error_r)
{
	struct report_run *r = w->run;
	const struct conf_failures *f = &r->conf->failures;
	const struct failure_sender s = {
		.sender = sender,
		.queue = r->queue,
		.resolver = r->resolver,
		.lookups = &r->compose.lookups,
		.dmarc = &r->dmarc,
		.rate = { f->wait_s, f->per_domain, f->in_all },
		.watch = watch_failure,
		.ctx = w,
	};

	return f->enabled && r->queue != NULL ? failure_send_due(&s, error_r) : 0;
}

/* Once the server could not be reached, the rest is for the next pass. */
static int
send_made(void *ctx, const char **error_r)
{
	struct work *w = ctx;

	return w->sent.no_server ? 0 : send_due(w->sender, &w->sent, error_r);
}

static void
say_given_up(struct work *w, size_t count)
{
	if (count == 0)
		return;
	w->failed += count;
	worsen(w, EXIT_REFUSED);
	say(w, true, "given up",
	    arena_printf(w->arena, "%zu deliveries that had failed or waited for a limit", count),
	    "too many messages wait to be sent");
}

/* What one does for all: nothing where another node does it. */
static int
make_and_send(struct work *w, const struct sender *sender, const char **error_r)
{
	struct report_run *r = w->run;
	struct maker maker = maker_of(w, watch_make);
	struct make_counts made;
	int ours = take_lease(w, error_r);

	if (ours == 0)
		say(w, false, "left to another node", "reports of the fleet", "");
	if (ours != 1)
		return ours;
	w->sender = sender;
	maker.between = send_made;
	if (make_reports(&maker, report_now_s(r), &made, error_r) != 0)
		return -1;
	say_given_up(w, made.given_up);
	if (send_made(w, error_r) != 0 || forget(r, error_r) != 0)
		return -1;
	give_lease_back(w);
	return 0;
}

static int
pass(struct work *w)
{
	struct report_run *r = w->run;
	const struct sender sender = {
		.db = r->db,
		.arena = w->arena,
		.options = &r->send,
		.now_s = now_s,
		.stop = must_stop,
		.watch = watch_send,
		.ctx = w,
	};
	const char *error = "?";
	int rc;

	ship(w);
	rc = make_and_send(w, &sender, &error);
	if (rc == 0)
		rc = tell_forgotten(w, &error);
	if (rc == 0 && !w->sent.no_server)
		rc = send_failures(w, &sender, &error);
	end_count(w);
	if (rc != 0)
		return report_complain(EXIT_INTERNAL, "report_store", error);
	if (w->sent.no_server)
		return report_complain(EXIT_TEMPFAIL, r->send.deliver.server,
		    "can't be reached; what is due stays so");
	return w->status;
}

/* ---- rehearsal ---- */

static void
write_message(struct work *w, const struct outbox_report *report, const struct outbox_delivery *d,
    size_t number)
{
	struct report_run *r = w->run;
	struct slice message, base = report->file_name;
	const char *from, *error = "?", *name;

	base = slice_sub(base, 0, base.len - (slice_ends_nocase(base, SLICE(".xml.gz")) ? 7 : 0));
	name = arena_printf(r->arena, "%.*s.%zu.eml", SLICE_ARG(base), number);
	if (send_message(r->arena, &r->send, report, d, report_now_s(r), &message, &from, &error) !=
	    0)
		worsen(w, report_complain(EXIT_REFUSED, name, error));
	else if (report_write_file(r, r->options.dry_run, name, message) != 0)
		worsen(w, EXIT_UNREADABLE);
	else
		(void)printf("%s/%s: from <%s> to <%s>\n", r->options.dry_run, name, from,
		    report_shown(r->arena, d->to.address));
}

static void
rehearse_made(
    void *ctx, const struct store_period *period, const struct composition *c, const char *error)
{
	struct work *w = ctx;

	watch_make(ctx, period, c, error);
	if (error != NULL || c->outcome != COMPOSE_REPORT)
		return;
	for (size_t i = 0; i < c->to_count; i++) {
		const struct outbox_delivery d = {
			.report_id = c->report.report_id,
			.to = c->to[i],
			.token = SLICE("rehearsal"),
		};

		write_message(w, &c->report, &d, i + 1);
	}
}

/* What was made before and waits. */
static int
rehearse_due(struct work *w)
{
	struct report_run *r = w->run;
	struct outbox_delivery *list;
	struct outbox_report report;
	const char *error = "?";
	size_t n;

	if (outbox_due(r->db, r->arena, report_now_s(r), DUE_MAX, &list, &n, &error) != 0)
		return report_complain(EXIT_INTERNAL, "report_store", error);
	for (size_t i = 0; i < n; i++)
		if (outbox_find(r->db, r->arena, list[i].report_id, true, &report, &error) == 1)
			write_message(w, &report, &list[i], i + 1);
	return 0;
}

static int
rehearse(struct work *w)
{
	const struct maker maker = maker_of(w, rehearse_made);
	struct make_counts counts;
	const char *error = "?";
	int status;

	w->counting = false;
	if (make_rehearse(&maker, report_now_s(w->run), &counts, &error) != 0)
		return report_complain(EXIT_INTERNAL, "report_store", error);
	status = rehearse_due(w);
	return status != 0 ? status : w->status;
}

/* ---- the subcommands ---- */

static int
send_again(struct report_run *r)
{
	struct slice id = slice_str(r->options.again);
	struct outbox_report report;
	const char *error = "?";
	int found = outbox_find(r->db, r->arena, id, false, &report, &error);

	if (found == 0)
		return report_complain(EXIT_REFUSED, r->options.again, "no such report");
	if (found < 0 || outbox_again(r->db, id, report_now_s(r), &error) != 0)
		return report_complain(EXIT_INTERNAL, "report_store", error);
	return 0;
}

static int
begin(struct report_run *r)
{
	const struct sigaction action = { .sa_handler = ask_to_stop };
	/* What is under way may take minutes yet: who won't wait for it says so again. */
	const struct sigaction once = { .sa_handler = ask_to_stop, .sa_flags = (int)SA_RESETHAND };

	if (r->options.dry_run == NULL && report_say_why_not(r, stderr) > 0)
		return EXIT_CONFIG;
	if (r->options.dry_run != NULL && report_check_folder(r->options.dry_run) != 0)
		return EXIT_UNREADABLE;
	(void)sigaction(SIGTERM, &action, NULL);
	(void)sigaction(SIGINT, &once, NULL);
	return report_open_engine(r);
}

int
report_send_command(struct report_run *r)
{
	struct work w = {
		.run = r,
		.arena = r->arena,
		.counting = isatty(STDOUT_FILENO) && isatty(STDERR_FILENO),
	};
	int status = begin(r);

	if (status != 0)
		return status;
	if (r->options.dry_run != NULL)
		return rehearse(&w);
	if (r->options.again != NULL)
		status = send_again(r);
	return status != 0 ? status : pass(&w);
}

/* Until something may be due again. */
static int
nap_ms(struct report_run *r)
{
	const char *error;
	int64_t next, now = report_now_s(r);

	if (outbox_next(r->db, &next, &error) != 1 || next > now + NAP_MS / 1000)
		return NAP_MS;
	return next <= now ? 1000 : (int)(next - now) * 1000;
}

int
report_run_command(struct report_run *r)
{
	const char *error;
	int status = begin(r);

	if (status != 0)
		return status;
	while (status == 0 && !report_must_stop(r, 0)) {
		struct work w = { .run = r, .arena = arena_new(SIZE_MAX) };

		/* What failed was said; the next pass comes to it again. */
		if (pass(&w) == EXIT_INTERNAL && db_fault(r->db) == DB_F_GONE)
			(void)db_reopen(r->db, &error);
		arena_free(&w.arena);
		if (!report_must_stop(r, w.status == 0 ? nap_ms(r) : NAP_MS))
			status = report_follow_store(r);
	}
	return status;
}
