/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "brunt/role.h"

int brunt_lease_renew(struct brunt_lease *lease, uint64_t now)
{
	if (lease->lapsed || now >= lease->expires) {
		lease->lapsed = true;
		return -ETIME;
	}
	lease->expires = now + lease->length;
	return 0;
}
