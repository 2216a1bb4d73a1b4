/* SPDX-License-Identifier: Apache-2.0 */
/* With CONFIG_DEVID=n, for measuring: the functions that main.c calls. */
#include <errno.h>

#include <devid/devid.h>

int devid_slot_find(const char *name, uint8_t *slot)
{
	(void)name;
	(void)slot;
	return -ENOTSUP;
}

int devid_id_chain(uint8_t slot, uint8_t *buf, size_t size, size_t *len)
{
	(void)slot;
	(void)buf;
	(void)size;
	(void)len;
	return -ENOTSUP;
}

int devid_evidence(const uint8_t *challenge, size_t challenge_len, uint8_t *buf, size_t size,
		   size_t *len)
{
	(void)challenge;
	(void)challenge_len;
	(void)buf;
	(void)size;
	(void)len;
	return -ENOTSUP;
}
