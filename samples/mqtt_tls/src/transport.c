/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The MQTT library's custom transport over tls.h. Zephyr declares these five
 * functions in a header of its own (mqtt_transport.h) and calls them by name.
 */
#include <zephyr/net/mqtt.h>
#include <zephyr/net/socket.h>

#include "tls.h"

static struct tls *tls_of(const struct mqtt_client *client)
{
	return client->transport.custom_transport_data;
}

int mqtt_client_custom_transport_connect(struct mqtt_client *client)
{
	return tls_open(tls_of(client), client->broker);
}

int mqtt_client_custom_transport_write(struct mqtt_client *client, const uint8_t *data,
				       uint32_t len)
{
	return tls_send(tls_of(client), data, len);
}

int mqtt_client_custom_transport_write_msg(struct mqtt_client *client,
					   const struct msghdr *message)
{
	for (size_t i = 0; i < message->msg_iovlen; i++) {
		int ret = tls_send(tls_of(client), message->msg_iov[i].iov_base,
				   message->msg_iov[i].iov_len);

		if (ret != 0) {
			return ret;
		}
	}
	return 0;
}

int mqtt_client_custom_transport_read(struct mqtt_client *client, uint8_t *data, uint32_t size,
				      bool shall_block)
{
	return tls_receive(tls_of(client), data, size, shall_block ? -1 : 0);
}

int mqtt_client_custom_transport_disconnect(struct mqtt_client *client)
{
	tls_close(tls_of(client));
	return 0;
}
