/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         signing_rules - who is signed for, and with which keys
 * DESCRIPTION  Pure: the tables of the configuration, asked.
 */
#ifndef ASSAY_SIGNING_RULES_H
#define ASSAY_SIGNING_RULES_H

#include "conf/conf.h"

/*
 * The keys for mail of that author domain: all whose author_domains fit it best, where the domain
 * itself fits better than any pattern, and a longer pattern better than a shorter one. numbers:
 * room for conf->dkim_key_count. Returns how many.
 */
size_t signing_choose_keys(const struct conf *conf, struct slice author_domain, size_t *numbers);

/* May mail of that login be signed for that author domain? */
bool signing_may_use(const struct conf *conf, struct slice login, struct slice author_domain);

#endif
