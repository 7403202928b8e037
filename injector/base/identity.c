/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "brunt/error.h"
#include "brunt/role.h"

#define NOBODY 65534

/* A user or group number as sudo writes it; (uid_t)-1, which the kernel reads as "leave it", is none. */
static bool parse_id(const char *text, unsigned *ret)
{
	char *end;
	unsigned long value;

	if (!text || *text < '0' || *text > '9')
		return false;
	errno = 0;
	value = strtoul(text, &end, 10);
	if (errno || *end || value >= UINT32_MAX)
		return false;
	*ret = (unsigned)value;
	return true;
}

int brunt_identity_get(struct brunt_identity *ret, struct brunt_error *err)
{
	struct brunt_identity identity = { .uid = geteuid(), .gid = getegid() };
	const struct passwd *user;

	identity.privileged = identity.uid == 0;
	if (identity.privileged) {
		unsigned uid, gid;

		if (parse_id(getenv("SUDO_UID"), &uid) && parse_id(getenv("SUDO_GID"), &gid) && uid) {
			identity.uid = uid;
			identity.gid = gid;
		} else {
			user = getpwnam("nobody");
			identity.uid = user && user->pw_uid ? user->pw_uid : NOBODY;
			identity.gid = user && user->pw_uid ? user->pw_gid : NOBODY;
		}
	}
	user = getpwuid(identity.uid);
	if (user)
		snprintf(identity.name, sizeof(identity.name), "%s", user->pw_name);
	else
		snprintf(identity.name, sizeof(identity.name), "%u", (unsigned)identity.uid);
	if (snprintf(identity.home, sizeof(identity.home), "%s", user ? user->pw_dir : "/") >=
	    (int)sizeof(identity.home))
		return brunt_fail(err, ENAMETOOLONG, "the home folder of '%s' has too long a name", identity.name);
	*ret = identity;
	return 0;
}
