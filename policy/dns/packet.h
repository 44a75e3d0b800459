/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         packet - an answer as it travels (RFC 1035 4.1)
 * DESCRIPTION  Reads the header, the chain of aliases and what stands at its end. The packet was
 *              put together by libunbound, but out of what strangers have sent.
 */
#ifndef ASSAY_DNS_PACKET_H
#define ASSAY_DNS_PACKET_H

#include "policy/dns/dns.h"

/*
 * The draft of an answer to a question for type. Its texts are in the arena or in packet, which is
 * borrowed; security is left to the caller, who knows. A packet that breaks off, or whose counts,
 * lengths or names are wrong, is a DNS_TEMPFAIL (DNS_R_MALFORMED), as is an rcode other than
 * NOERROR and NXDOMAIN (DNS_R_SERVFAIL). At most one record more than LIMIT_DNS_RECORDS is read:
 * that tells dns_answer_make() that there are too many.
 *
 * ttl_s: the least of the answer section, aliases included; of a negative answer also that of the
 * authority section, where a SOA's minimum counts (RFC 2308 5); 0 where neither has a record.
 */
struct dns_answer packet_answer(struct arena *a, struct slice packet, enum dns_type type);

#endif
