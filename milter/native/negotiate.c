/* SPDX-License-Identifier: BSD-2-Clause */
#include "milter/native/negotiate.h"

#include <string.h>

#include "milter/terms.h"

#define VERSION_MIN 2
#define VERSION_MAX 6
#define OFFER_BYTES 12

/* What an MTA of version 1 could do and names with 0. */
#define V1_ACTIONS 0x0fu
#define V1_STEPS   0x3fu

#define DATA_64K  65535u
#define DATA_256K 262143u
#define DATA_1M	  1048575u

/* The largest size offered; its flag goes back to the MTA. */
static uint32_t
data_size(uint32_t offered, size_t *max_r)
{
	if ((offered & TERMS_DATA_1M) != 0) {
		*max_r = DATA_1M;
		return TERMS_DATA_1M;
	}
	if ((offered & TERMS_DATA_256K) != 0) {
		*max_r = DATA_256K;
		return TERMS_DATA_256K;
	}
	*max_r = DATA_64K;
	return 0;
}

int
negotiate(struct slice data, struct agreement *out, const char **error_r)
{
	uint32_t version, actions, steps;

	if (data.len < OFFER_BYTES) {
		*error_r = "a negotiation that is too short";
		return -1;
	}
	version = wire_u32(data.p);
	actions = wire_u32(data.p + 4);
	steps = wire_u32(data.p + 8);
	if (version < VERSION_MIN) {
		*error_r = "a protocol version below 2";
		return -1;
	}
	if (actions == 0)
		actions = V1_ACTIONS;
	if (steps == 0)
		steps = V1_STEPS;
	if ((actions & TERMS_ACTIONS_NEEDED) != TERMS_ACTIONS_NEEDED) {
		*error_r = "an MTA that lets no header be changed";
		return -1;
	}
	out->version = version < VERSION_MAX ? version : VERSION_MAX;
	out->actions = TERMS_ACTIONS_NEEDED | (actions & TERMS_ACTIONS_OFFERED);
	out->steps = steps & (TERMS_NO_REPLY | TERMS_NO_STEP | TERMS_IF_OFFERED);
	out->steps |= data_size(steps, &out->data_max);
	return 0;
}

void
agreement_put(const struct agreement *a, struct wire_output *out)
{
	struct slice parts[3 + 2 * TERMS_STAGES];
	char numbers[3 + TERMS_STAGES][4];
	size_t count = 3;

	parts[0] = wire_number(numbers[0], a->version);
	parts[1] = wire_number(numbers[1], a->actions);
	parts[2] = wire_number(numbers[2], a->steps);
	if ((a->actions & TERMS_SET_MACROS) != 0) {
		for (uint32_t stage = 0; stage < TERMS_STAGES; stage++) {
			const char *list = terms_macros[stage];

			parts[count++] = wire_number(numbers[3 + stage], stage);
			parts[count++] = slice_of(list, strlen(list) + 1);
		}
	}
	wire_put(out, WIRE_NEGOTIATE, parts, count);
}
