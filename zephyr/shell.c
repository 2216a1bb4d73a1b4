/* SPDX-License-Identifier: Apache-2.0 */
/* Registers the shell's commands and forwards them to devid-console. */
#include <stdbool.h>
#include <string.h>

#include <zephyr/shell/shell.h>

/* Of the root crate, for this file alone: src/capi/shell.rs. */
int devid_console_run(bool is_peer, size_t argc, const char *const *argv,
		      void (*print)(void *context, const char *text, size_t len), void *context);

/* The most words a command has, its group included. */
#define WORDS_MAX 8

static void print(void *ctx, const char *text, size_t len)
{
	shell_fprintf((const struct shell *)ctx, SHELL_NORMAL, "%.*s", (int)len, text);
}

/* A shell on a wire of the device is its console. Any other, those that Zephyr
 * may yet get included, is taken for one that strangers reach: mcumgr's shell
 * group, telnet, MQTT, Bluetooth.
 */
static bool is_peer(const struct shell *sh)
{
	return strcmp(sh->name, "shell_uart") != 0 && strcmp(sh->name, "shell_rtt") != 0;
}

/* The console wants the group's name before the words that the shell passes on. */
static int forward(const struct shell *sh, const char *group, size_t argc, char **argv)
{
	const char *words[WORDS_MAX];
	size_t count = 0;

	if (group != NULL) {
		words[count++] = group;
	}
	if (argc > WORDS_MAX - count) {
		return -EINVAL;
	}
	/* Zephyr drops what does not fit, and runs the rest. */
	if (sh->ctx->cmd_buff_len >= sizeof(sh->ctx->cmd_buff) - 1) {
		shell_error(sh, "error: EFBIG: the line may have been cut; use 'devid load'");
		return -EFBIG;
	}
	memcpy(&words[count], argv, argc * sizeof(argv[0]));
	return devid_console_run(is_peer(sh), count + argc, words, print, (void *)sh);
}

static int run(const struct shell *sh, size_t argc, char **argv)
{
	return forward(sh, NULL, argc, argv);
}

static int run_slot(const struct shell *sh, size_t argc, char **argv)
{
	return forward(sh, "slot", argc, argv);
}

static int run_id(const struct shell *sh, size_t argc, char **argv)
{
	return forward(sh, "id", argc, argv);
}

static int run_token(const struct shell *sh, size_t argc, char **argv)
{
	return forward(sh, "token", argc, argv);
}

static int run_load(const struct shell *sh, size_t argc, char **argv)
{
	return forward(sh, "load", argc, argv);
}

/* Argument counts are the console's to check: it says what is wrong in its words. */
#define COMMAND(name, run, usage) SHELL_CMD_ARG(name, NULL, usage, run, 1, WORDS_MAX)
#define GROUP(name, subcommands, help) SHELL_CMD(name, subcommands, help, NULL)

SHELL_STATIC_SUBCMD_SET_CREATE(
	slot_commands,
	COMMAND(list, run_slot, "List the slots."),
	COMMAND(info, run_slot, "<slot> Tell about one slot."),
	COMMAND(read, run_slot, "<slot> Print a slot's value; of a secret its digest."),
	COMMAND(write, run_slot, "<slot> <value> [length] Replace a slot's value."),
	COMMAND(erase, run_slot, "<slot> Empty a slot that is no identity."),
	SHELL_SUBCMD_SET_END);

SHELL_STATIC_SUBCMD_SET_CREATE(
	id_commands,
	COMMAND(gen, run_id, "<slot> Make an identity's key."),
	COMMAND(pub, run_id, "<slot> Print an identity's public key."),
	COMMAND(csr, run_id, "<slot> [cn=<text>] [serial=<text>] [o=<text>] [challenge=<hex>] "
			     "Print a certification request."),
	COMMAND(install, run_id, "<slot> <value> [unix-time] Install the chain, leaf first."),
	COMMAND(cert, run_id, "<slot> [index] Print one certificate; 0 is the leaf."),
	COMMAND(chain, run_id, "<slot> Print the chain, leaf first."),
	COMMAND(erase, run_id, "<slot> Destroy an identity's key and chain."),
	COMMAND(phase, run_id, "<slot> Tell where an identity stands in a rotation."),
	COMMAND(activate, run_id, "<slot> Make the pending key and chain the active ones."),
	COMMAND(confirm, run_id, "<slot> End a rotation: destroy the old key and chain."),
	COMMAND(rollback, run_id, "<slot> Undo a rotation as far as it went."),
	COMMAND(evidence, run_id, "<slot> <challenge> Print evidence for an identity's key."),
	SHELL_SUBCMD_SET_END);

SHELL_STATIC_SUBCMD_SET_CREATE(
	token_commands,
	COMMAND(get, run_token, "<challenge> Print an attestation token."),
	COMMAND(show, run_token, "<challenge> Print a token's claims, unchecked."),
	COMMAND(size, run_token, "[challenge-length] Tell how long a token is."),
	SHELL_SUBCMD_SET_END);

SHELL_STATIC_SUBCMD_SET_CREATE(
	load_commands,
	COMMAND(begin, run_load, "<length> <sha256> Announce a long value, then used as '-'."),
	COMMAND(data, run_load, "<value> Take its next piece."),
	COMMAND(status, run_load, "Tell how much of it is there."),
	COMMAND(abort, run_load, "Drop it."),
	SHELL_SUBCMD_SET_END);

SHELL_STATIC_SUBCMD_SET_CREATE(
	devid_commands,
	COMMAND(help, run, "List the commands with their arguments."),
	COMMAND(status, run, "[unix-time] List what is missing or wrong."),
	COMMAND(info, run, "Tell the device's id, lock, group and last update."),
	COMMAND(lock, run, "yes: Make the factory's slots final. Nothing undoes this."),
	COMMAND(reset, run, "yes: Return to the factory's identity."),
	COMMAND(update, run, "<value> Apply a command signed by a trust anchor."),
	COMMAND(nonce, run, "Print what a recovery command has to answer."),
	GROUP(slot, &slot_commands, "Provisioning slots."),
	GROUP(id, &id_commands, "Identities: key and certificate chain."),
	GROUP(token, &token_commands, "PSA attestation tokens."),
	GROUP(load, &load_commands, "Long values, in pieces."),
	COMMAND(evidence, run, "<challenge> Print a token with the IAK's certificate chain."),
	COMMAND(iak, run, "Print the attestation key's public half."),
	SHELL_SUBCMD_SET_END);

SHELL_CMD_REGISTER(devid, &devid_commands, "Device identity that others can check", NULL);
