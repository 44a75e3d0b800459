/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         relax - a moment in a loop that waits for another processor
 * DESCRIPTION  Tells the processor that nothing is to be hurried: it leaves its units to its
 *              sibling and the cache line to whoever has it. Some tens of cycles; where there is no
 *              such instruction, none.
 */
#ifndef ASSAY_RELAX_H
#define ASSAY_RELAX_H

#if defined(__x86_64__) || defined(__i386__)
#define RELAX_INSTRUCTION "pause"
#elif defined(__aarch64__)
#define RELAX_INSTRUCTION "isb"
#else
#define RELAX_INSTRUCTION ""
#endif

static inline void
relax(void)
{
	__asm__ volatile(RELAX_INSTRUCTION ::: "memory");
}

#endif
