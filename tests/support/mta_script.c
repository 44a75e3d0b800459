/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/support/mta_script.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void
put(struct mta_script *s, const void *data, size_t len)
{
	if (len > sizeof(s->bytes) - s->len) {
		(void)fprintf(stderr, "mta_script: too long\n");
		abort();
	}
	if (len > 0)
		memcpy(s->bytes + s->len, data, len);
	s->len += len;
}

void
mta_say(struct mta_script *s, char command, const void *data, size_t len)
{
	uint32_t size = htonl((uint32_t)len + 1);

	put(s, &size, sizeof(size));
	put(s, &command, 1);
	put(s, data, len);
}

void
mta_say_text(struct mta_script *s, char command, const char *text)
{
	mta_say(s, command, text, strlen(text) + 1);
}

void
mta_offer(struct mta_script *s, uint32_t version, uint32_t actions, uint32_t steps)
{
	const uint32_t offer[3] = { htonl(version), htonl(actions), htonl(steps) };

	mta_say(s, 'O', offer, sizeof(offer));
}

void
mta_connect(struct mta_script *s, const char *ip)
{
	char data[128];
	int head = snprintf(data, sizeof(data), "client.example") + 1;

	data[head++] = strchr(ip, ':') != NULL ? '6' : '4';
	data[head++] = 0x30;
	data[head++] = 0x39;
	(void)snprintf(data + head, sizeof(data) - (size_t)head, "%s", ip);
	mta_say(s, 'C', data, (size_t)head + strlen(ip) + 1);
	mta_say_text(s, 'H', "client.example");
}

void
mta_field(struct mta_script *s, const char *name, const char *value)
{
	char data[1024];
	int len = snprintf(data, sizeof(data), "%s%c%s", name, '\0', value) + 1;

	mta_say(s, 'L', data, (size_t)len);
}

void
mta_message(struct mta_script *s, const char *sender, const char *author)
{
	mta_say_text(s, 'M', sender);
	mta_say_text(s, 'R', "<to@here.example>");
	mta_field(s, "From", author);
	mta_say(s, 'N', NULL, 0);
	MTA_SAY(s, 'B', "Hello.\r\n");
	MTA_SAY(s, 'D', "Ei\0004QUEUE\0");
	mta_say(s, 'E', NULL, 0);
}

static size_t
show_frame(const unsigned char *p, size_t left, char *out, size_t size)
{
	uint32_t n;
	size_t at = 0;

	memcpy(&n, p, 4);
	n = ntohl(n);
	if (n == 0 || n > left - 4)
		n = (uint32_t)left - 4;
	for (size_t i = 0; i < n && at + 2 < size; i++) {
		char c = (char)p[4 + i];

		out[at++] = c > ' ' && c < 0x7f ? c : c == ' ' ? '_' : '.';
		if (i == 0 && n > 1 && at + 2 < size)
			out[at++] = ' ';
	}
	out[at++] = '\n';
	out[at] = '\0';
	return 4 + (size_t)n;
}

void
mta_show(const unsigned char *bytes, size_t len, char *out, size_t size)
{
	size_t at = 0;

	out[0] = '\0';
	while (len - at > 4 && strlen(out) + 3 < size)
		at += show_frame(bytes + at, len - at, out + strlen(out), size - strlen(out));
}
