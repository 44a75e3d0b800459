/* SPDX-License-Identifier: BSD-2-Clause */
#include "policy/syntax/base64.h"

#include <stdint.h>

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* 0..63, or -1. */
static int
value_of(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (ascii_is_digit(c))
		return c - '0' + 52;
	if (c == '+')
		return 62;
	return c == '/' ? 63 : -1;
}

int
base64_decode(struct arena *a, struct slice text, struct slice *out)
{
	char *bytes = arena_alloc(a, text.len / 4 * 3 + 3);
	size_t len = 0;
	unsigned digits = 0, pads = 0;
	uint32_t group = 0;

	for (size_t i = 0; i < text.len; i++) {
		char c = text.p[i];
		int v;

		if (ascii_is_space(c))
			continue;
		if (c == '=') {
			if (++pads > 2)
				return -1;
			continue;
		}
		v = value_of(c);
		if (v < 0 || pads > 0)
			return -1;
		group = group << 6 | (uint32_t)v;
		if (++digits % 4 == 0) {
			bytes[len++] = (char)(group >> 16 & 0xff);
			bytes[len++] = (char)(group >> 8 & 0xff);
			bytes[len++] = (char)(group & 0xff);
		}
	}
	if ((digits + pads) % 4 != 0 || digits % 4 == 1)
		return -1;
	/* RFC 4648 3.5: bits that pad the last byte are not looked at. */
	if (digits % 4 == 2)
		bytes[len++] = (char)(group >> 4 & 0xff);
	if (digits % 4 == 3) {
		bytes[len++] = (char)(group >> 10 & 0xff);
		bytes[len++] = (char)(group >> 2 & 0xff);
	}
	*out = slice_of(bytes, len);
	return 0;
}

struct slice
base64_encode(struct arena *a, struct slice bytes)
{
	char *text = arena_alloc(a, (bytes.len + 2) / 3 * 4 + 1);
	size_t len = 0;

	for (size_t i = 0; i < bytes.len; i += 3) {
		size_t left = bytes.len - i;
		uint32_t group = (uint32_t)(unsigned char)bytes.p[i] << 16;

		if (left > 1)
			group |= (uint32_t)(unsigned char)bytes.p[i + 1] << 8;
		if (left > 2)
			group |= (uint32_t)(unsigned char)bytes.p[i + 2];
		text[len++] = alphabet[group >> 18];
		text[len++] = alphabet[group >> 12 & 63];
		text[len++] = left > 1 ? alphabet[group >> 6 & 63] : '=';
		text[len++] = left > 2 ? alphabet[group & 63] : '=';
	}
	return slice_of(text, len);
}
