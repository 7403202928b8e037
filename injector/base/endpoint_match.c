/* SPDX-License-Identifier: Apache-2.0 */
#include "brunt/param.h"

#include <netinet/in.h>
#include <string.h>
#include <strings.h>

bool brunt_endpoint_of_family(const struct brunt_endpoint *from, uint8_t family, struct brunt_endpoint *ret)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

	*ret = *from;
	/* A name is nothing but what it stands for. */
	if (from->host[0])
		return false;
	if (from->family == 6 && from->prefix >= 96 && !memcmp(from->address, mapped, sizeof(mapped))) {
		memset(ret->address, 0, sizeof(ret->address));
		memcpy(ret->address, from->address + 12, 4);
		ret->prefix = (uint8_t)(from->prefix - 96);
		ret->family = 4;
	} else if (!from->family) {
		ret->family = family;
		ret->prefix = 0;
	}
	if (ret->protocol == IPPROTO_ICMPV6)
		ret->protocol = IPPROTO_ICMP;
	return ret->family == family;
}

bool brunt_endpoint_contains(const struct brunt_endpoint *wide, const struct brunt_endpoint *narrow)
{
	unsigned bytes = wide->prefix / 8, bits = wide->prefix % 8;

	if (wide->family != narrow->family || wide->prefix > narrow->prefix)
		return false;
	if (memcmp(wide->address, narrow->address, bytes))
		return false;
	return !bits || !((wide->address[bytes] ^ narrow->address[bytes]) >> (8 - bits));
}

bool brunt_endpoint_covers(const struct brunt_endpoint *wide, const struct brunt_endpoint *narrow)
{
	struct brunt_endpoint outer = *wide, inner = *narrow;
	bool any = false;

	if (wide->host[0]) {
		if (strcasecmp(wide->host, narrow->host) != 0)
			return false;
		outer.family = narrow->family;
		outer.prefix = narrow->prefix;
		memcpy(outer.address, narrow->address, sizeof(outer.address));
	}
	outer.host[0] = inner.host[0] = '\0';
	for (uint8_t family = 4; family <= 6; family += 2) {
		struct brunt_endpoint w, n;

		if (!brunt_endpoint_of_family(&inner, family, &n))
			continue;
		if (!brunt_endpoint_of_family(&outer, family, &w) || !brunt_endpoint_contains(&w, &n))
			return false;
		if (w.protocol && w.protocol != n.protocol)
			return false;
		if (w.port_max && (!n.port_max || n.port_min < w.port_min || n.port_max > w.port_max))
			return false;
		any = true;
	}
	return any;
}
