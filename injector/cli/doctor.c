/* SPDX-License-Identifier: Apache-2.0 */
/*
 * brunt doctor: every injector's probe, printed.
 */
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "brunt/capability.h"
#include "brunt/error.h"
#include "brunt/fault.h"
#include "brunt/role.h"
#include "brunt/target.h"
#include "cli/cli.h"

static void print_host(void)
{
	struct utsname kernel = { 0 };
	char mount[256];

	(void)uname(&kernel);
	printf("kernel %s · cgroup v2 %s · BTF %s · %s\n\n", kernel.release,
	       brunt_cgroup_mount(mount, sizeof(mount)) ? "not mounted" : mount,
	       access("/sys/kernel/btf/vmlinux", R_OK) ? "no" : "yes", geteuid() ? "not root" : "root");
}

int brunt_cmd_doctor(int argc, char **argv)
{
	bool able = true;

	if (argc > 1) {
		FILE *out = strcmp(argv[1], "--help") && strcmp(argv[1], "-h") ? stderr : stdout;

		fputs("usage: brunt doctor\n\nSays of each fault whether this host can do it, and if not, why and what helps.\n"
		      "exit status: 0 everything, 9 something is missing\n",
		      out);
		return out == stdout ? 0 : 2;
	}
	print_host();
	for (const struct brunt_injector *const *at = brunt_injectors; *at; at++) {
		const struct brunt_injector *injector = *at;
		struct brunt_error err = { 0 };
		char missing[160];
		int r = 0;

		if (brunt_capabilities_missing(injector->capabilities, missing, sizeof(missing))[0])
			r = brunt_fail(&err, 1, "needs %s; run brunt as root", missing);
		else if (injector->probe)
			r = injector->probe(&err);
		able &= !r;
		printf("  %-17s %-5s %s\n", injector->name, r ? "no" : "yes", r ? err.msg : injector->summary);
	}
	return able ? 0 : 9;
}
