/* SPDX-License-Identifier: BSD-2-Clause */
#include "report/failure_buffer.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct entry { /* its texts stand behind it */
	struct entry *next;
	struct failure_event event;
};

struct failure_buffer {
	pthread_mutex_t lock;
	struct entry *first, **end;
	size_t count;
};

struct failure_buffer *
failure_buffer_new(void)
{
	struct failure_buffer *b = heap_alloc(1, sizeof(*b));

	(void)pthread_mutex_init(&b->lock, NULL);
	b->end = &b->first;
	return b;
}

static void
free_all(struct entry *e)
{
	struct entry *next;

	for (; e != NULL; e = next) {
		next = e->next;
		free(e);
	}
}

void
failure_buffer_free(struct failure_buffer **b)
{
	if (*b == NULL)
		return;
	free_all((*b)->first);
	(void)pthread_mutex_destroy(&(*b)->lock);
	free(*b);
	*b = NULL;
}

static struct entry *
entry_new(const struct failure_event *event)
{
	struct failure_event copy = *event;
	struct slice *texts[] = { &copy.cause, &copy.domain, &copy.ruf, &copy.author, &copy.subject,
		&copy.fields, &copy.header };
	size_t bytes = 0;
	struct entry *e;
	char *p;

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		bytes += texts[i]->len;
	e = heap_alloc(1, sizeof(*e) + bytes);
	p = (char *)(e + 1);
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		if (texts[i]->len > 0)
			memcpy(p, texts[i]->p, texts[i]->len);
		*texts[i] = slice_of(p, texts[i]->len);
		p += texts[i]->len;
	}
	e->event = copy;
	return e;
}

bool
failure_buffer_add(struct failure_buffer *b, const struct failure_event *event)
{
	struct entry *e = entry_new(event);
	bool room;

	(void)pthread_mutex_lock(&b->lock);
	room = b->count < FAILURE_BUFFER_MAX;
	if (room) {
		*b->end = e;
		b->end = &e->next;
		b->count++;
	}
	(void)pthread_mutex_unlock(&b->lock);
	if (!room)
		free(e);
	return room;
}

bool
failure_buffer_is_empty(struct failure_buffer *b)
{
	bool empty;

	(void)pthread_mutex_lock(&b->lock);
	empty = b->count == 0;
	(void)pthread_mutex_unlock(&b->lock);
	return empty;
}

static struct entry *
take_all(struct failure_buffer *b)
{
	struct entry *first;

	(void)pthread_mutex_lock(&b->lock);
	first = b->first;
	b->first = NULL;
	b->end = &b->first;
	b->count = 0;
	(void)pthread_mutex_unlock(&b->lock);
	return first;
}

static int
write_all(const struct entry *e, struct db *db, const char **error_r)
{
	for (; e != NULL; e = e->next)
		if (failure_queue_add(db, &e->event, error_r) < 0)
			return -1;
	return db_commit(db, error_r);
}

int
failure_buffer_write(struct failure_buffer *b, struct db *db, const char **error_r)
{
	struct entry *all = take_all(b);
	int rc = 0;

	if (all == NULL)
		return 0;
	if (failure_queue_prepare(db, error_r) != 0 || db_begin(db, error_r) != 0) {
		rc = -1;
	} else if (write_all(all, db, error_r) != 0) {
		db_rollback(db);
		rc = -1;
	}
	free_all(all);
	return rc;
}
