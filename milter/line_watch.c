/* SPDX-License-Identifier: BSD-2-Clause */
#include "milter/line_watch.h"

#include <string.h>

#define LINE_BYTES 998

static void
end_line(struct line_watch *w)
{
	if (w->after_cr)
		w->length--;
	w->line++;
	if (w->length > LINE_BYTES) {
		w->over++;
		if (w->first == 0)
			w->first = w->line;
		if (w->length > w->longest)
			w->longest = w->length;
	}
	w->length = 0;
	w->after_cr = false;
}

void
line_watch_update(struct line_watch *w, struct slice text)
{
	while (text.len > 0) {
		const char *end = memchr(text.p, '\n', text.len);
		size_t len = end == NULL ? text.len : (size_t)(end - text.p);

		if (len > 0) {
			w->length += len;
			w->after_cr = text.p[len - 1] == '\r';
		}
		if (end == NULL)
			return;
		end_line(w);
		text = slice_from(text, len + 1);
	}
}

void
line_watch_end(struct line_watch *w)
{
	if (w->length > 0)
		end_line(w);
}
