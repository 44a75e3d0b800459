/* SPDX-License-Identifier: BSD-2-Clause */
#include "conf/faults.h"

#include "policy/base/bug.h"
#include "policy/base/strbuf.h"

void
conf_vfault(struct conf_faults *f, unsigned line, const char *fmt, va_list ap)
{
	size_t at;

	if (f->count++ >= CONF_FAULTS_MAX)
		return;
	/* Kept in order of lines; of one line, in order of arrival. */
	for (at = f->count - 1; at > 0 && f->list[at - 1].line > line; at--)
		f->list[at] = f->list[at - 1];
	f->list[at] = (struct conf_fault){ line, arena_vprintf(f->arena, fmt, ap) };
}

void
conf_fault(struct conf_faults *f, unsigned line, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	conf_vfault(f, line, fmt, ap);
	va_end(ap);
}

bool
conf_fault_on_line(const struct conf_faults *f, unsigned line)
{
	for (size_t i = 0; i < f->count && i < CONF_FAULTS_MAX; i++) {
		if (f->list[i].line == line)
			return true;
	}
	return false;
}

char *
conf_faults_text(struct conf_faults *f, const char *file)
{
	struct strbuf b;

	strbuf_init(&b, f->arena, (size_t)64 * 1024);
	for (size_t i = 0; i < f->count && i < CONF_FAULTS_MAX; i++) {
		if (i > 0)
			strbuf_char(&b, '\n');
		strbuf_str(&b, file);
		if (f->list[i].line != 0)
			strbuf_printf(&b, ":%u", f->list[i].line);
		strbuf_printf(&b, ": %s", f->list[i].text);
	}
	if (f->count > CONF_FAULTS_MAX)
		strbuf_printf(&b, "\n%s: and %zu more", file, f->count - CONF_FAULTS_MAX);
	return heap_copy(strbuf_slice(&b).p);
}
