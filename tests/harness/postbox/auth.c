/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/harness/postbox/auth.h"

#include <string.h>

#include "policy/syntax/base64.h"
#include "policy/syntax/domain.h"
#include "tests/harness/postbox/server.h"

/* ---- names ---- */

bool
auth_serves(const struct server *server, struct slice domain)
{
	if (domain.len > 0 && domain.p[domain.len - 1] == '.')
		domain.len--;
	for (size_t i = 0; i < server->options.domain_count; i++)
		if (slice_equal_nocase(server->options.domains[i], domain))
			return true;
	return false;
}

static const struct user *
user_named(const struct server *server, struct slice name)
{
	for (size_t i = 0; i < server->options.user_count; i++)
		if (slice_equal_nocase(server->options.users[i].name, name))
			return &server->options.users[i];
	return NULL;
}

/* NAME or NAME@DOMAIN. */
static const struct user *
user_logging_in(const struct server *server, struct slice name)
{
	size_t at = slice_find_last(name, '@');

	if (at == SLICE_NONE)
		return user_named(server, name);
	if (!auth_serves(server, slice_from(name, at + 1)))
		return NULL;
	return user_named(server, slice_sub(name, 0, at));
}

const struct user *
auth_recipient(const struct server *server, struct slice local_part, struct slice domain)
{
	const struct user *user;
	size_t plus;

	if (domain.len > 0 && !auth_serves(server, domain))
		return NULL;
	user = user_named(server, local_part);
	if (user != NULL)
		return user;
	plus = slice_find(local_part, '+'); /* RFC 5233: the detail behind it is the user's own */
	if (plus != SLICE_NONE)
		return user_named(server, slice_sub(local_part, 0, plus));
	/* RFC 5321 4.5.1: postmaster must be reachable; here it is whoever was named first. */
	if (slice_equal_nocase(local_part, SLICE("postmaster")) && server->options.user_count > 0)
		return &server->options.users[0];
	return NULL;
}

/* ---- passwords ---- */

/* Are they equal? Takes as long for any two passwords: every byte of a fixed width is looked at,
 * whatever was found before. */
static bool
password_equal(struct slice a, struct slice b)
{
	unsigned char x[POSTBOX_PASSWORD_BYTES] = { 0 }, y[POSTBOX_PASSWORD_BYTES] = { 0 };
	unsigned char different = a.len != b.len;

	if (a.len > sizeof(x) || b.len > sizeof(y))
		return false;
	if (a.len > 0)
		memcpy(x, a.p, a.len);
	if (b.len > 0)
		memcpy(y, b.p, b.len);
	for (size_t i = 0; i < sizeof(x); i++)
		different = (unsigned char)(different | (x[i] ^ y[i]));
	return different == 0;
}

const struct user *
auth_check(const struct server *server, struct slice name, struct slice password)
{
	const struct user *user = user_logging_in(server, name);
	/* A stranger costs a comparison as well. */
	bool equal = password_equal(user == NULL ? SLICE("nobody") : user->password, password);

	return user != NULL && equal ? user : NULL;
}

/* ---- SASL ---- */

int
sasl_login_decode(struct arena *a, struct slice base64, struct slice *out)
{
	if (slice_equal(base64, SLICE("="))) {
		*out = slice_of(NULL, 0);
		return 0;
	}
	/* base64_decode() is lenient to folding, which has no place in an answer. */
	for (size_t i = 0; i < base64.len; i++)
		if (ascii_is_space(base64.p[i]))
			return -1;
	return base64_decode(a, base64, out);
}

int
sasl_plain_decode(struct arena *a, struct slice base64, struct sasl_plain *out)
{
	struct slice text;
	size_t first, second;

	if (sasl_login_decode(a, base64, &text) == -1)
		return -1;
	first = slice_find(text, '\0');
	if (first == SLICE_NONE)
		return -1;
	second = slice_find(slice_from(text, first + 1), '\0');
	/* RFC 4616 2: name and password are at least one character, and hold no NUL. */
	if (second == SLICE_NONE || second == 0)
		return -1;
	out->authorize = slice_sub(text, 0, first);
	out->name = slice_sub(text, first + 1, second);
	out->password = slice_from(text, first + 1 + second + 1);
	return out->password.len == 0 || slice_find(out->password, '\0') != SLICE_NONE ? -1 : 0;
}

const struct user *
sasl_plain_check(
    struct arena *a, const struct server *server, struct slice base64, bool *malformed_r)
{
	struct sasl_plain plain;
	const struct user *user;

	*malformed_r = sasl_plain_decode(a, base64, &plain) == -1;
	if (*malformed_r)
		return NULL;
	user = auth_check(server, plain.name, plain.password);
	if (user == NULL || plain.authorize.len == 0)
		return user;
	return user_logging_in(server, plain.authorize) == user ? user : NULL;
}

struct slice
sasl_plain_encode(struct arena *a, struct slice name, struct slice password)
{
	size_t len = name.len + password.len + 2;
	char *text = arena_alloc(a, len);

	memcpy(text + 1, name.p == NULL ? "" : name.p, name.len);
	memcpy(text + name.len + 2, password.p == NULL ? "" : password.p, password.len);
	return base64_encode(a, slice_of(text, len));
}
