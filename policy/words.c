/* SPDX-License-Identifier: BSD-2-Clause */
#include "policy/decide.h"

ENUMTAB_WORDS(action_word, enum action, ACTIONS)
ENUMTAB_WORDS(override_word, enum override, OVERRIDES)
ENUMTAB_WORDS(cause_word, enum cause, CAUSES)
ENUMTAB_WORDS(domain_rule_word, enum domain_rule, DOMAIN_RULES)
