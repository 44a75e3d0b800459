/* SPDX-License-Identifier: BSD-2-Clause */
#include "conf/schema.h"
#include "policy/base/strbuf.h"

#define SAMPLE_MAX_BYTES ((size_t)256 * 1024)
#define LINE_BYTES	 78

/* text as comment lines of at most LINE_BYTES. */
static void
add_comment(struct strbuf *b, const char *text)
{
	struct slice rest = slice_str(text), word;
	size_t used = 0;

	while (slice_next(&rest, ' ', &word)) {
		if (used > 0 && used + 1 + word.len > LINE_BYTES) {
			strbuf_char(b, '\n');
			used = 0;
		}
		if (used == 0) {
			strbuf_char(b, '#');
			used = 1;
		}
		strbuf_char(b, ' ');
		strbuf_add(b, word);
		used += 1 + word.len;
	}
	strbuf_char(b, '\n');
}

static void
add_setting(struct strbuf *b, const struct conf_setting *s)
{
	if (s->group != NULL)
		strbuf_printf(b, "\n# ---- %s ----\n", s->group);
	strbuf_char(b, '\n');
	add_comment(b, s->text);
	add_comment(b, arena_printf(b->arena, "Allowed: %s.", conf_setting_allowed(b->arena, s)));
	if (s->kind == CONF_SECTIONS) {
		add_comment(b, "Default: none. For example:");
		strbuf_str(b, s->example);
		return;
	}
	strbuf_printf(b, "#%s = %s\n", s->name, conf_setting_default(b->arena, s));
}

struct slice
conf_write_sample(struct arena *a)
{
	struct strbuf b;

	strbuf_init(&b, a, SAMPLE_MAX_BYTES);
	strbuf_str(&b, "# assay.conf - configuration of assayd(8) and assay(1)\n#\n");
	add_comment(&b,
	    "Every setting stands here with its default, as a comment: an empty file is a good "
	    "file. A setting is written name = value, a list as name = { \"one\", \"two\" }. "
	    "Comments begin with #. assay.conf(5) has the rest.");
	for (size_t i = 0; i < conf_setting_count; i++)
		add_setting(&b, &conf_settings[i]);
	return strbuf_slice(&b);
}
