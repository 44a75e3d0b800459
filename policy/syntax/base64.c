/* SPDX-License-Identifier: BSD-2-Clause */
#include "policy/syntax/base64.h"

#include <stdint.h>

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

#define SPACE 64u /* FWS: skipped */
#define PAD   65u

/* What each byte is, plus one: a digit's 0..63, or one of the above; 0: nothing of base64. */
static const uint8_t values[256] = { [' '] = SPACE + 1,
	['\t'] = SPACE + 1,
	['\r'] = SPACE + 1,
	['\n'] = SPACE + 1,
	['='] = PAD + 1,
	['A'] = 1,
	['B'] = 2,
	['C'] = 3,
	['D'] = 4,
	['E'] = 5,
	['F'] = 6,
	['G'] = 7,
	['H'] = 8,
	['I'] = 9,
	['J'] = 10,
	['K'] = 11,
	['L'] = 12,
	['M'] = 13,
	['N'] = 14,
	['O'] = 15,
	['P'] = 16,
	['Q'] = 17,
	['R'] = 18,
	['S'] = 19,
	['T'] = 20,
	['U'] = 21,
	['V'] = 22,
	['W'] = 23,
	['X'] = 24,
	['Y'] = 25,
	['Z'] = 26,
	['a'] = 27,
	['b'] = 28,
	['c'] = 29,
	['d'] = 30,
	['e'] = 31,
	['f'] = 32,
	['g'] = 33,
	['h'] = 34,
	['i'] = 35,
	['j'] = 36,
	['k'] = 37,
	['l'] = 38,
	['m'] = 39,
	['n'] = 40,
	['o'] = 41,
	['p'] = 42,
	['q'] = 43,
	['r'] = 44,
	['s'] = 45,
	['t'] = 46,
	['u'] = 47,
	['v'] = 48,
	['w'] = 49,
	['x'] = 50,
	['y'] = 51,
	['z'] = 52,
	['0'] = 53,
	['1'] = 54,
	['2'] = 55,
	['3'] = 56,
	['4'] = 57,
	['5'] = 58,
	['6'] = 59,
	['7'] = 60,
	['8'] = 61,
	['9'] = 62,
	['+'] = 63,
	['/'] = 64 };

static unsigned
value_of(char c)
{
	return values[(unsigned char)c] - 1u; /* more than PAD where it is nothing */
}

/* Whole groups of four, as long as nothing else comes; returns how many bytes of text they were. */
static size_t
decode_groups(struct slice text, char *out)
{
	const char *p = text.p;
	size_t at = 0;

	for (; text.len - at >= 4; at += 4) {
		unsigned a = value_of(p[at]), b = value_of(p[at + 1]);
		unsigned c = value_of(p[at + 2]), d = value_of(p[at + 3]);

		if ((a | b | c | d) > 63)
			break;
		*out++ = (char)(a << 2 | b >> 4);
		*out++ = (char)((b & 15) << 4 | c >> 2);
		*out++ = (char)((c & 3) << 6 | d);
	}
	return at;
}

int
base64_decode(struct arena *a, struct slice text, struct slice *out)
{
	char *bytes = arena_bytes(a, text.len / 4 * 3 + 3);
	size_t len = 0, at = 0;
	unsigned digits = 0, pads = 0;
	uint32_t group = 0;

	while (at < text.len) {
		unsigned v;

		if (digits % 4 == 0 && pads == 0) {
			size_t n = decode_groups(slice_from(text, at), bytes + len);

			at += n;
			len += n / 4 * 3;
			if (at == text.len)
				break;
		}
		v = value_of(text.p[at++]);
		if (v == SPACE)
			continue;
		if (v == PAD) {
			if (++pads > 2)
				return -1;
			continue;
		}
		if (v > PAD || pads > 0)
			return -1;
		group = group << 6 | v;
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
