/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/bench/name_server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "policy/dns/internal.h"
#include "tests/bench/bench.h"

#define PACKET_BYTES   4096
#define HEADER_BYTES   12
#define TYPE_SOA       6
#define TYPE_OPT       41
#define RCODE_SERVFAIL 2
#define RCODE_NXDOMAIN 3
#define TABLE_SLOTS    (1u << 16) /* different questions; a power of two, more than any run asks */
#define HELD_MAX       8192	  /* answers held back at one time */
#define BATCH	       32	  /* packets for one system call */
#define LIE_US	       2000	  /* how long a query lies in the socket; far less than a latency */

struct query {
	struct sockaddr_in from;
	uint8_t packet[PACKET_BYTES];
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(struct timespec))];
};

struct held { /* an answer on its way */
	struct sockaddr_in to;
	uint64_t due_us;
	size_t len;
	uint8_t packet[1500];
};

struct name_server {
	int fd;
	uint16_t port;
	uint32_t latency_us;
	pthread_t thread;
	struct arena *arena;
	struct zone zone;
	struct held *held; /* ring, in the order they are due */
	size_t held_first, held_count;
	struct query taken[BATCH];
	pthread_mutex_t lock; /* guards what is below */
	bool stopping;
	uint64_t queries, distinct;
	uint64_t seen[TABLE_SLOTS]; /* hashes of questions; 0: free */
};

/* ---- packets ---- */

static void
put16(uint8_t **at, unsigned v)
{
	*(*at)++ = (uint8_t)(v >> 8);
	*(*at)++ = (uint8_t)v;
}

static void
put32(uint8_t **at, uint32_t v)
{
	put16(at, v >> 16);
	put16(at, v & 0xffff);
}

static void
put_bytes(uint8_t **at, const void *bytes, size_t len)
{
	if (len > 0)
		memcpy(*at, bytes, len);
	*at += len;
}

static void
put_name(uint8_t **at, struct slice name)
{
	struct slice label;

	while (slice_next(&name, '.', &label)) {
		*(*at)++ = (uint8_t)label.len;
		put_bytes(at, label.p, label.len);
	}
	*(*at)++ = 0;
}

static void
put_text(uint8_t **at, struct slice text)
{
	do {
		struct slice part = slice_sub(text, 0, 255);

		*(*at)++ = (uint8_t)part.len;
		put_bytes(at, part.p, part.len);
		text = slice_from(text, part.len);
	} while (text.len > 0);
}

static void
put_data(uint8_t **at, enum dns_type type, const struct dns_record *r)
{
	switch (type) {
	case DNS_A:
		put_bytes(at, r->address.bytes, 4);
		return;
	case DNS_AAAA:
		put_bytes(at, r->address.bytes, 16);
		return;
	case DNS_TXT:
		put_text(at, r->text);
		return;
	case DNS_MX:
		put16(at, r->mx.preference);
		put_name(at, r->mx.host);
		return;
	case DNS_NS:
	case DNS_CNAME:
	case DNS_PTR:
		put_name(at, r->name);
		return;
	}
}

/* Owner, type, class, TTL, and the length of what data has written behind. */
static void
put_record(uint8_t **at, enum dns_type type, uint32_t ttl_s, const struct dns_record *r)
{
	uint8_t *length;

	put16(at, 0xc000 | HEADER_BYTES); /* the name of the question */
	put16(at, type);
	put16(at, 1);
	put32(at, ttl_s);
	length = *at;
	*at += 2;
	put_data(at, type, r);
	put16(&length, (unsigned)(*at - length - 2));
}

/* RFC 2308 3: what makes a negative answer one to remember. */
static void
put_soa(uint8_t **at)
{
	put_name(at, SLICE("")); /* the root */
	put16(at, TYPE_SOA);
	put16(at, 1);
	put32(at, 300);
	put16(at, 2 + 20);
	*(*at)++ = 0;
	*(*at)++ = 0;
	for (int i = 0; i < 5; i++)
		put32(at, 300);
}

static void
put_opt(uint8_t **at)
{
	*(*at)++ = 0;
	put16(at, TYPE_OPT);
	put16(at, 1232);
	put32(at, 0);
	put16(at, 0);
}

/* Name and type of the question; its length in the packet, 0: nonsense. */
static size_t
read_question(const uint8_t *p, size_t len, struct dns_name *name, enum dns_type *type)
{
	size_t at = HEADER_BYTES, n = 0;

	if (len < HEADER_BYTES + 5)
		return 0;
	while (at < len && p[at] != 0) {
		if (p[at] > 63 || at + 1 + p[at] >= len || n + p[at] + 1u > LIMIT_DOMAIN_BYTES)
			return 0;
		if (n > 0)
			name->text[n++] = '.';
		for (size_t i = 1; i <= p[at]; i++)
			name->text[n++] = ascii_lower((char)p[at + i]);
		at += 1 + (size_t)p[at];
	}
	if (at + 5 > len)
		return 0;
	name->text[n] = '\0';
	name->len = n;
	*type = (enum dns_type)(p[at + 1] << 8 | p[at + 2]);
	return at + 5 - HEADER_BYTES;
}

static unsigned
rcode_of(const struct dns_answer *a)
{
	if (a->status == DNS_TEMPFAIL)
		return RCODE_SERVFAIL;
	return a->status == DNS_NXDOMAIN ? RCODE_NXDOMAIN : 0;
}

/* The answer to the query, into out; its length. */
static size_t
answer(struct name_server *s, const uint8_t *query, const struct dns_name *name, enum dns_type type,
    size_t question_len, uint8_t *out)
{
	uint8_t *at = out;
	struct dns_answer *a = zone_answer(&s->zone, dns_name_slice(name), type);
	bool with_opt = query[11] != 0;
	const struct dns_answer *gone = a;

	put_bytes(&at, query, 2);
	put16(&at, 0x8580 | rcode_of(a));
	put16(&at, 1);
	put16(&at, (unsigned)a->count);
	put16(&at, a->count == 0 ? 1 : 0);
	put16(&at, with_opt ? 1 : 0);
	put_bytes(&at, query + HEADER_BYTES, question_len);
	for (size_t i = 0; i < a->count; i++)
		put_record(&at, type, a->ttl_s, &a->records[i]);
	if (a->count == 0)
		put_soa(&at);
	if (with_opt)
		put_opt(&at);
	dns_answer_unref(&gone);
	return (size_t)(at - out);
}

/* ---- the thread ---- */

static void
count_question(struct name_server *s, const struct dns_name *name, enum dns_type type)
{
	uint64_t h = 14695981039346656037u ^ type; /* FNV-1a */

	for (size_t i = 0; i < name->len; i++)
		h = (h ^ (unsigned char)name->text[i]) * 1099511628211u;
	h |= 1;
	(void)pthread_mutex_lock(&s->lock);
	s->queries++;
	for (size_t i = h >> 40;; i++) {
		uint64_t *slot = &s->seen[i & (TABLE_SLOTS - 1)];

		if (*slot == h)
			break;
		if (*slot == 0) {
			*slot = h;
			s->distinct++;
			break;
		}
	}
	(void)pthread_mutex_unlock(&s->lock);
}

/* As many as one call takes; false: nothing is due. */
static bool
send_due(struct name_server *s)
{
	struct mmsghdr messages[BATCH] = { 0 };
	struct iovec pieces[BATCH];
	uint64_t now = now_us();
	unsigned n = 0;

	while (n < BATCH && n < s->held_count) {
		struct held *h = &s->held[(s->held_first + n) % HELD_MAX];

		if (h->due_us > now)
			break;
		pieces[n] = (struct iovec){ h->packet, h->len };
		messages[n].msg_hdr = (struct msghdr){ .msg_name = &h->to,
			.msg_namelen = sizeof(h->to),
			.msg_iov = &pieces[n],
			.msg_iovlen = 1 };
		n++;
	}
	if (n == 0)
		return false;
	/* What is not taken is lost, as it would be on a wire. */
	(void)sendmmsg(s->fd, messages, n, 0);
	s->held_first = (s->held_first + n) % HELD_MAX;
	s->held_count -= n;
	return true;
}

/* How long ago the packet came, which may have lain in the socket for a while. */
static uint64_t
age_us(struct msghdr *header)
{
	struct timespec came, now;
	int64_t us;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c != NULL; c = CMSG_NXTHDR(header, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_TIMESTAMPNS)
			continue;
		memcpy(&came, CMSG_DATA(c), sizeof(came));
		(void)clock_gettime(CLOCK_REALTIME, &now);
		us = (now.tv_sec - came.tv_sec) * 1000000 + (now.tv_nsec - came.tv_nsec) / 1000;
		return us > 0 ? (uint64_t)us : 0;
	}
	return 0;
}

/* The answer to a query is held back from when that came. */
static void
hold_answer(struct name_server *s, const struct query *q, size_t len, uint64_t came_us)
{
	struct held *h = &s->held[(s->held_first + s->held_count) % HELD_MAX];
	struct dns_name name;
	enum dns_type type;
	size_t question_len = read_question(q->packet, len, &name, &type);

	if (question_len == 0 || s->held_count == HELD_MAX)
		return;
	count_question(s, &name, type);
	h->to = q->from;
	h->len = answer(s, q->packet, &name, type, question_len, h->packet);
	h->due_us = came_us + s->latency_us;
	s->held_count++;
}

/* False: nothing there. */
static bool
take_queries(struct name_server *s)
{
	struct mmsghdr messages[BATCH];
	struct iovec pieces[BATCH];
	int n;

	for (size_t i = 0; i < BATCH; i++) {
		struct query *q = &s->taken[i];

		pieces[i] = (struct iovec){ q->packet, sizeof(q->packet) };
		messages[i].msg_hdr = (struct msghdr){ .msg_name = &q->from,
			.msg_namelen = sizeof(q->from),
			.msg_iov = &pieces[i],
			.msg_iovlen = 1,
			.msg_control = q->control,
			.msg_controllen = sizeof(q->control) };
	}
	n = recvmmsg(s->fd, messages, BATCH, MSG_DONTWAIT, NULL);
	for (int i = 0; i < n; i++)
		hold_answer(
		    s, &s->taken[i], messages[i].msg_len, now_us() - age_us(&messages[i].msg_hdr));
	return n > 0;
}

static bool
is_stopping(struct name_server *s)
{
	bool stopping;

	(void)pthread_mutex_lock(&s->lock);
	stopping = s->stopping;
	(void)pthread_mutex_unlock(&s->lock);
	return stopping;
}

/*
 * Until something is to be done. While answers are held back, queries lie in the socket for a
 * while, at no cost to anybody: their time runs from when they came.
 */
static void
wait_for_work(const struct name_server *s)
{
	struct pollfd p = { .fd = s->fd, .events = POLLIN };
	struct timespec wait = { 0, 100 * 1000000 };

	if (s->held_count > 0) {
		uint64_t now = now_us(), due = s->held[s->held_first].due_us;
		uint64_t wait_us = due > now ? due - now : 0;

		wait.tv_nsec = (long)(wait_us < LIE_US ? wait_us : LIE_US) * 1000;
		p.fd = -1;
	}
	(void)ppoll(&p, 1, &wait, NULL);
}

static void *
serve(void *arg)
{
	struct name_server *s = arg;

	while (!is_stopping(s)) {
		wait_for_work(s);
		while (send_due(s))
			;
		while (take_queries(s))
			;
		while (s->latency_us == 0 && send_due(s))
			;
	}
	return NULL;
}

struct name_server *
name_server_start(uint16_t port, struct slice zone, uint32_t latency_ms)
{
	struct name_server *s = heap_alloc(1, sizeof(*s));
	struct sockaddr_in sin = { .sin_family = AF_INET, .sin_port = htons(port) };
	socklen_t len = sizeof(sin);
	const char *error = "?";
	int size = 4 << 20, on = 1;

	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	s->arena = arena_new(SIZE_MAX);
	s->held = heap_alloc(HELD_MAX, sizeof(*s->held));
	s->latency_us = latency_ms * 1000;
	if (pthread_mutex_init(&s->lock, NULL) != 0 ||
	    zone_parse(s->arena, zone, &s->zone, s->arena, &error) != 0)
		bug("name server: %s", error);
	s->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	(void)setsockopt(s->fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	(void)setsockopt(s->fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof(on));
	if (bind(s->fd, (const struct sockaddr *)&sin, sizeof(sin)) != 0 ||
	    getsockname(s->fd, (struct sockaddr *)&sin, &len) != 0 ||
	    pthread_create(&s->thread, NULL, serve, s) != 0)
		bug("name server: port %u: %s", port, strerror(errno));
	s->port = ntohs(sin.sin_port);
	return s;
}

void
name_server_stop(struct name_server **sp)
{
	struct name_server *s = *sp;

	*sp = NULL;
	(void)pthread_mutex_lock(&s->lock);
	s->stopping = true;
	(void)pthread_mutex_unlock(&s->lock);
	(void)pthread_join(s->thread, NULL);
	(void)close(s->fd);
	(void)pthread_mutex_destroy(&s->lock);
	arena_free(&s->arena);
	free(s->held);
	free(s);
}

uint16_t
name_server_port(const struct name_server *s)
{
	return s->port;
}

void
name_server_count(struct name_server *s, uint64_t *queries_r, uint64_t *distinct_r)
{
	(void)pthread_mutex_lock(&s->lock);
	*queries_r = s->queries;
	*distinct_r = s->distinct;
	(void)pthread_mutex_unlock(&s->lock);
}

void
name_server_reset(struct name_server *s)
{
	(void)pthread_mutex_lock(&s->lock);
	s->queries = s->distinct = 0;
	memset(s->seen, 0, sizeof(s->seen));
	(void)pthread_mutex_unlock(&s->lock);
}
