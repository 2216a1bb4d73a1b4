/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An MQTT client that is known by its devid identity. The shell's commands ask,
 * the main thread does: MQTT and TLS are in one thread's hands.
 */
#include <errno.h>
#include <string.h>

#include <zephyr/kernel.h>
#include <zephyr/net/mqtt.h>
#include <zephyr/net/socket.h>
#include <zephyr/shell/shell.h>
#include <zephyr/sys/printk.h>

#include <devid/devid.h>

#include "tls.h"

/* The slots by their names in devid's layout. */
#define IDENTITY_SLOT "ldevid0"
#define ANCHOR_SLOT "anchor1"
#define ENDPOINT_SLOT "endpoint"

/* How long the main thread may be deaf to the shell or to the broker. */
#define TURN_MS 50

struct request {
	enum { CONNECT, PUBLISH, DISCONNECT } what;
	char topic[64];
	char text[128];
};

K_MSGQ_DEFINE(requests, sizeof(struct request), 2, 4);

static struct mqtt_client client;
static struct tls tls;
static struct sockaddr_in broker;
static char host[INET_ADDRSTRLEN];
static uint8_t rx[256];
static uint8_t tx[256];
static bool connected;

static void told(struct mqtt_client *from, const struct mqtt_evt *event)
{
	switch (event->type) {
	case MQTT_EVT_CONNACK:
		if (event->result == 0) {
			printk("MQTT: connected to %s:%u\n", host, ntohs(broker.sin_port));
		} else {
			printk("MQTT: refused: %d\n", event->result);
		}
		break;
	case MQTT_EVT_PUBACK:
		printk("MQTT: acknowledged %u\n", event->param.puback.message_id);
		break;
	case MQTT_EVT_DISCONNECT:
		connected = false;
		printk("MQTT: disconnected: %d\n", event->result);
		break;
	default:
		break;
	}
}

/* The endpoint slot holds "<IPv4 address>:<port>". */
static int find_broker(void)
{
	char endpoint[sizeof("255.255.255.255:65535")];
	uint8_t slot;
	size_t len;
	int ret = devid_slot_find(ENDPOINT_SLOT, &slot);

	if (ret == 0) {
		ret = devid_slot_read(slot, (uint8_t *)endpoint, sizeof(endpoint), &len);
	}
	if (ret != 0) {
		return ret;
	}
	broker.sin_port = 0;
	if (!net_ipaddr_parse(endpoint, len, (struct sockaddr *)&broker) ||
	    broker.sin_family != AF_INET || broker.sin_port == 0) {
		return -EINVAL;
	}
	zsock_inet_ntop(AF_INET, &broker.sin_addr, host, sizeof(host));
	return 0;
}

static int connect(void)
{
	int ret = find_broker();

	if (ret == 0) {
		ret = devid_slot_find(IDENTITY_SLOT, &tls.identity);
	}
	if (ret == 0) {
		ret = devid_slot_find(ANCHOR_SLOT, &tls.anchor);
	}
	if (ret != 0) {
		return ret;
	}
	tls.host = host;
	mqtt_client_init(&client);
	client.broker = &broker;
	client.evt_cb = told;
	client.client_id = MQTT_UTF8_LITERAL("devid");
	client.rx_buf = rx;
	client.rx_buf_size = sizeof(rx);
	client.tx_buf = tx;
	client.tx_buf_size = sizeof(tx);
	client.transport.type = MQTT_TRANSPORT_CUSTOM;
	client.transport.custom_transport_data = &tls;
	ret = mqtt_connect(&client);
	connected = ret == 0;
	return ret;
}

static int publish(const struct request *request)
{
	static uint16_t id;
	const struct mqtt_publish_param message = {
		.message = {
			.topic = {
				.topic = {(const uint8_t *)request->topic, strlen(request->topic)},
				.qos = MQTT_QOS_1_AT_LEAST_ONCE,
			},
			.payload = {(uint8_t *)request->text, strlen(request->text)},
		},
		.message_id = ++id == 0 ? ++id : id,
	};

	return mqtt_publish(&client, &message);
}

static void serve(const struct request *request)
{
	int ret;

	switch (request->what) {
	case CONNECT:
		ret = connected ? -EISCONN : connect();
		break;
	case PUBLISH:
		ret = connected ? publish(request) : -ENOTCONN;
		break;
	default:
		ret = connected ? mqtt_disconnect(&client) : -ENOTCONN;
		break;
	}
	if (ret != 0) {
		printk("MQTT: failed: %d\n", ret);
	}
}

int main(void)
{
	int ret = devid_init();

	if (ret != 0) {
		printk("devid: %d\n", ret);
		return ret;
	}
	for (;;) {
		struct request request;

		if (k_msgq_get(&requests, &request, connected ? K_MSEC(TURN_MS) : K_FOREVER) == 0) {
			serve(&request);
		}
		if (connected) {
			/* Both report a lost connection by the event. */
			(void)mqtt_input(&client);
			(void)mqtt_live(&client);
		}
	}
}

/*
 * The shell's commands.
 */

static int ask(const struct shell *sh, const struct request *request)
{
	int ret = k_msgq_put(&requests, request, K_NO_WAIT);

	if (ret != 0) {
		shell_error(sh, "busy");
	}
	return ret;
}

static int ask_connect(const struct shell *sh, size_t argc, char **argv)
{
	return ask(sh, &(struct request){.what = CONNECT});
}

static int ask_publish(const struct shell *sh, size_t argc, char **argv)
{
	struct request request = {.what = PUBLISH};

	if (strlen(argv[1]) >= sizeof(request.topic) || strlen(argv[2]) >= sizeof(request.text)) {
		shell_error(sh, "too long");
		return -EFBIG;
	}
	strcpy(request.topic, argv[1]);
	strcpy(request.text, argv[2]);
	return ask(sh, &request);
}

static int ask_disconnect(const struct shell *sh, size_t argc, char **argv)
{
	return ask(sh, &(struct request){.what = DISCONNECT});
}

SHELL_STATIC_SUBCMD_SET_CREATE(
	commands,
	SHELL_CMD_ARG(connect, NULL, "Connect to the broker of the slot '" ENDPOINT_SLOT "'.",
		      ask_connect, 1, 0),
	SHELL_CMD_ARG(publish, NULL, "<topic> <text> Publish.", ask_publish, 3, 0),
	SHELL_CMD_ARG(disconnect, NULL, "Leave.", ask_disconnect, 1, 0),
	SHELL_SUBCMD_SET_END);

SHELL_CMD_REGISTER(mqtt, &commands, "MQTT over mutual TLS with devid's key", NULL);
