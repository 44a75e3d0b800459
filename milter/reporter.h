/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         reporter - `assay report run`, kept running beside assayd
 * DESCRIPTION  assayd itself makes and sends no reports: a program of its own does, which knows XML
 *              and SMTP and can be killed by what they bring without touching mail. A thread starts
 *              it, without a shell, as the user that assayd has become, and starts it again when it
 *              ends: at once when it had run for long, else after a pause that doubles each time.
 *              Where it says that it isn't configured (EX_CONFIG) it is started again by a reload
 *              only. It ends with assayd, however that ends: its standard input is a pipe from us.
 * DIAGNOSTICS  Lines in the log.
 */
#ifndef ASSAY_REPORTER_H
#define ASSAY_REPORTER_H

struct reporter;

/* program is copied, conf_file borrowed until reporter_stop(). NULL: no thread. */
struct reporter *reporter_start(const char *program, const char *conf_file);

/* It starts anew, with the configuration as it is now. NULL is accepted. */
void reporter_reload(struct reporter *r);

/* Told to end, and waited for; killed after some seconds. *r becomes NULL; NULL is accepted. */
void reporter_stop(struct reporter **r);

#endif
