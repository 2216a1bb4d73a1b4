/* SPDX-License-Identifier: Apache-2.0 */
/* What README.md shows, on the stack that a main thread has by default. */
#include <zephyr/kernel.h>

#include <devid/devid.h>

int main(void)
{
	static const uint8_t challenge[32];
	size_t unused;

#include "readme.inc"
	printk("EVIDENCE: %d\n", err);
	/* Zero where the stack was overrun. */
	if (k_thread_stack_space_get(k_current_get(), &unused) == 0 && unused > 0) {
		printk("STACK: enough\n");
	}
	return 0;
}
