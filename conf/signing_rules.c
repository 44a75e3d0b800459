/* SPDX-License-Identifier: BSD-2-Clause */
#include "conf/signing_rules.h"

#include "policy/syntax/domain.h"

/* 0: it does not fit; else more the better. */
static size_t
fit(const struct conf_pattern *p, struct slice domain)
{
	bool equal = slice_equal(p->domain, domain);

	if (!p->subdomains)
		return equal ? SIZE_MAX : 0;
	return !equal && domain_covers(p->domain, domain) ? p->domain.len + 1 : 0;
}

static size_t
best_fit(const struct conf_pattern *patterns, size_t count, struct slice domain)
{
	size_t best = 0;

	for (size_t i = 0; i < count; i++) {
		size_t n = fit(&patterns[i], domain);

		if (n > best)
			best = n;
	}
	return best;
}

static size_t
key_fit(const struct conf_dkim_key *k, struct slice domain)
{
	const struct conf_pattern itself = { .domain = k->domain };

	if (k->author_domain_count == 0)
		return fit(&itself, domain);
	return best_fit(k->author_domains, k->author_domain_count, domain);
}

size_t
signing_choose_keys(const struct conf *conf, struct slice author_domain, size_t *numbers)
{
	size_t best = 1, count = 0;

	for (size_t i = 0; i < conf->dkim_key_count; i++) {
		size_t n = key_fit(&conf->dkim_keys[i], author_domain);

		if (n > best) {
			best = n;
			count = 0;
		}
		if (n == best)
			numbers[count++] = i;
	}
	return count;
}

/* "alice@example.com" may use example.com and what is below it; "alice" is one of ours as a whole;
 * a login that has no name is nobody. */
static bool
is_own(struct slice login, struct slice domain)
{
	size_t at = slice_find_last(login, '@');

	return login.len > 0 &&
	    (at == SLICE_NONE || domain_covers(slice_from(login, at + 1), domain));
}

bool
signing_may_use(const struct conf *conf, struct slice login, struct slice author_domain)
{
	bool in_other_case = false;

	for (size_t i = 0; i < conf->sender_count; i++) {
		const struct conf_sender *s = &conf->senders[i];

		if (slice_equal(s->login, login))
			return best_fit(s->domains, s->domain_count, author_domain) > 0;
		in_other_case = in_other_case || slice_equal_nocase(s->login, login);
	}
	/* Some who check passwords mind case and some don't: nobody gets around his section. */
	if (in_other_case)
		return false;
	switch (conf->unlisted_senders) {
	case CONF_LOGINS_OWN:
		return is_own(login, author_domain);
	case CONF_LOGINS_ANY:
		return true;
	case CONF_LOGINS_NONE:
		return false;
	}
	bug("signing: unlisted_senders %d", (int)conf->unlisted_senders);
}
