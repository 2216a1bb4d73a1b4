/* SPDX-License-Identifier: Apache-2.0 */
/* Registers the group of mcumgr commands and forwards them to devid-console. */
#include <zephyr/mgmt/mcumgr/mgmt/handlers.h>
#include <zephyr/mgmt/mcumgr/mgmt/mgmt.h>
#include <zephyr/mgmt/mcumgr/smp/smp.h>
#include <zephyr/sys/byteorder.h>

/* Of the root crate, for this file alone: src/capi/smp.rs. */
int devid_smp_run(uint8_t version, bool write, uint8_t command, const uint8_t *request,
		  size_t request_len, uint8_t *out, size_t out_size, size_t *out_len);

/* One more than the last command's id, in crates/console/src/smp/command.rs. */
#define COMMANDS 27

/* The least response that every transport takes, by fragments where it must. */
#define RESPONSE_MIN 256

/* The header's eight bytes, which the server read and then passed over:
 * operation and version, flags, length (2), group (2), sequence, command.
 */
#define HEADER_LEN 8

/* What the buffer has room for, and the transport can send. */
static size_t room_of(const struct smp_streamer *streamer)
{
	const struct net_buf *response = streamer->writer->nb;
	size_t frame = MAX(streamer->smpt->functions.get_mtu(streamer->reader->nb), RESPONSE_MIN);

	return MIN(net_buf_tailroom(response), frame - HEADER_LEN);
}

static int forward(struct smp_streamer *streamer)
{
	const struct net_buf *request = streamer->reader->nb;
	const uint8_t *header = request->data - HEADER_LEN;
	uint8_t operation = header[0] & 0x7;
	uint8_t version = (header[0] >> 3) & 0x3;
	struct net_buf *response = streamer->writer->nb;
	uint8_t *out = net_buf_tail(response);
	size_t room = room_of(streamer);
	size_t len;
	int rc;

	rc = devid_smp_run(version, operation == MGMT_OP_WRITE, header[7], request->data,
			   sys_get_be16(&header[2]), out, room, &len);
	if (rc == 0) {
		net_buf_add(response, len);
	}
	return rc;
}

/* Which command there is in which direction is the console's to say. */
#define FORWARD(n, _) [n] = {.mh_read = forward, .mh_write = forward}

static const struct mgmt_handler handlers[] = {LISTIFY(COMMANDS, FORWARD, (,))};

static struct mgmt_group group = {
	.mg_handlers = handlers,
	.mg_handlers_count = ARRAY_SIZE(handlers),
	.mg_group_id = CONFIG_DEVID_SMP_GROUP_ID,
	.custom_payload = true,
#ifdef CONFIG_MCUMGR_GRP_ENUM_DETAILS_NAME
	.mg_group_name = "devid",
#endif
};

static void register_group(void)
{
	mgmt_register_group(&group);
}

MCUMGR_HANDLER_DEFINE(devid, register_group);
