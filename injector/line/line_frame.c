/* SPDX-License-Identifier: Apache-2.0 */
#include "line/line_frame.h"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/virtio_net.h>
#include <stdbool.h>
#include <string.h>

#define GSO_UDP_L4  5 /* VIRTIO_NET_HDR_GSO_UDP_L4, Linux 6.2 */

#define TCP_FIN_PSH 0x09
#define TCP_CWR	    0x80

static uint16_t get16(const unsigned char *at)
{
	return (uint16_t)(at[0] << 8 | at[1]);
}

static void put16(unsigned char *at, uint32_t value)
{
	at[0] = (unsigned char)(value >> 8);
	at[1] = (unsigned char)value;
}

/* The sum of RFC 1071, of big-endian words. */
static uint32_t add_up(const unsigned char *at, size_t size, uint32_t sum)
{
	uint64_t total = sum;

	for (; size > 1; at += 2, size -= 2)
		total += get16(at);
	if (size)
		total += (uint32_t)at[0] << 8;
	while (total >> 16)
		total = (total & 0xffff) + (total >> 16);
	return (uint32_t)total;
}

/* A large packet as its header describes it: where IP and TCP or UDP begin, and where the payload does. */
struct large {
	struct virtio_net_hdr info;
	size_t network, transport, headers;
	bool tcp;
};

/* Where the IP header begins: behind Ethernet and any tags. */
static size_t network_of(const unsigned char *packet, size_t transport)
{
	size_t at = 12;

	while (at + 2 < transport && (get16(packet + at) == ETH_P_8021Q || get16(packet + at) == ETH_P_8021AD))
		at += 4;
	return at + 2;
}

static bool read_large(const unsigned char *frame, size_t size, size_t header, struct large *ret)
{
	const unsigned char *packet = frame + header;
	size_t transport_size = 8;
	int type;

	if (header < sizeof(ret->info) || size < header)
		return false;
	memcpy(&ret->info, frame, sizeof(ret->info));
	type = ret->info.gso_type & ~VIRTIO_NET_HDR_GSO_ECN;
	ret->tcp = type == VIRTIO_NET_HDR_GSO_TCPV4 || type == VIRTIO_NET_HDR_GSO_TCPV6;
	ret->transport = ret->info.csum_start;
	if (!(ret->tcp || type == GSO_UDP_L4) || !ret->info.gso_size ||
	    !(ret->info.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) || ret->info.csum_offset != (ret->tcp ? 16 : 6) ||
	    ret->transport < LINE_FRAME_ETHERNET + 20 || ret->transport > 512 ||
	    size - header < ret->transport + (ret->tcp ? 20 : 8))
		return false;
	ret->network = network_of(packet, ret->transport);
	if (ret->tcp)
		transport_size = (size_t)(packet[ret->transport + 12] >> 4) * 4;
	ret->headers = ret->transport + transport_size;
	return ret->network + 20 <= ret->transport && transport_size >= (ret->tcp ? 20 : 8) &&
	       size - header > ret->headers;
}

uint32_t line_frame_wire_size(const unsigned char *head, size_t size, size_t header)
{
	size_t segments = 1;
	struct large large;

	if (read_large(head, size, header, &large))
		segments = (size - header - large.headers + large.info.gso_size - 1) / large.info.gso_size;
	else
		large.headers = 0;
	return (uint32_t)(size - header + (segments - 1) * large.headers);
}

void line_frame_finish(unsigned char *frame, size_t size, size_t header)
{
	unsigned char *packet = frame + header;
	struct virtio_net_hdr info;
	size_t length = size - header, at;
	uint32_t sum;

	if (header < sizeof(info) || size < header)
		return;
	memcpy(&info, frame, sizeof(info));
	at = (size_t)info.csum_start + info.csum_offset;
	if (info.gso_type != VIRTIO_NET_HDR_GSO_NONE)
		return; /* of segments that we do not understand: the kernel writes a checksum for each */
	if (info.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM && at + 2 <= length) {
		/* What stands there now is the sum of the pseudo-header. 0 would mean: none (RFC 768). */
		sum = ~add_up(packet + info.csum_start, length - info.csum_start, 0) & 0xffff;
		put16(packet + at, sum ? sum : 0xffff);
	}
	info.flags = 0; /* neither left for later nor known to be good */
	info.csum_start = info.csum_offset = 0;
	memcpy(frame, &info, sizeof(info));
}

/* The lengths in the headers of packet, of size bytes, and what depends on them. was: bytes from transport on, before. */
static bool set_lengths(unsigned char *packet, size_t size, const struct large *large, size_t was, uint32_t later)
{
	size_t network = large->network, check = large->transport + large->info.csum_offset;
	unsigned char *ip = packet + network, length[4];
	uint32_t now = (uint32_t)(size - large->transport);

	if (ip[0] >> 4 == 4) {
		put16(ip + 2, (uint32_t)(size - network));
		put16(ip + 4, get16(ip + 4) + later);
		put16(ip + 10, 0);
		put16(ip + 10, ~add_up(ip, (size_t)(ip[0] & 15) * 4, 0));
	} else if (ip[0] >> 4 == 6 && network + 40 <= large->transport) {
		put16(ip + 4, (uint32_t)(size - network - 40));
	} else {
		return false;
	}
	if (!large->tcp)
		put16(packet + large->transport + 4, now);
	/* The sum of the pseudo-header has the length in it: the old one out (its complement in), the new one in. */
	put16(length, ~(uint32_t)was);
	put16(length + 2, now);
	put16(packet + check, add_up(length, sizeof(length), get16(packet + check)));
	return true;
}

static void make_segment_first(unsigned char *packet, const struct large *large)
{
	if (large->tcp)
		packet[large->transport + 13] &= (unsigned char)~TCP_FIN_PSH;
}

static void make_segment_later(unsigned char *packet, const struct large *large)
{
	unsigned char *tcp = packet + large->transport;
	uint32_t sequence;

	if (!large->tcp)
		return;
	memcpy(&sequence, tcp + 4, sizeof(sequence));
	sequence = htonl(ntohl(sequence) + large->info.gso_size);
	memcpy(tcp + 4, &sequence, sizeof(sequence));
	if (large->info.gso_type & VIRTIO_NET_HDR_GSO_ECN)
		tcp[13] &= (unsigned char)~TCP_CWR; /* belongs to the first segment alone (RFC 3168, 6.1.2) */
}

size_t line_frame_split(unsigned char *frame, size_t *size, size_t header, unsigned char *ret_rest)
{
	unsigned char *rest_packet = ret_rest + header;
	size_t length = *size - header, payload, rest_length;
	struct large large;
	struct virtio_net_hdr info;

	if (!read_large(frame, *size, header, &large))
		return 0;
	payload = length - large.headers;
	info = large.info;
	if (payload <= info.gso_size) {
		info.gso_type = VIRTIO_NET_HDR_GSO_NONE;
		info.gso_size = 0;
		memcpy(frame, &info, sizeof(info));
		return 0;
	}
	rest_length = length - info.gso_size;
	memcpy(ret_rest, frame, header + large.headers);
	memcpy(rest_packet + large.headers, frame + header + large.headers + info.gso_size,
	       rest_length - large.headers);
	if (!set_lengths(rest_packet, rest_length, &large, length - large.transport, 1))
		return 0;
	make_segment_later(rest_packet, &large);
	if (payload <= 2 * (size_t)info.gso_size) {
		info.gso_type = VIRTIO_NET_HDR_GSO_NONE;
		info.gso_size = 0;
	}
	memcpy(ret_rest, &info, sizeof(info));

	length = large.headers + large.info.gso_size;
	(void)set_lengths(frame + header, length, &large, *size - header - large.transport, 0);
	make_segment_first(frame + header, &large);
	info.gso_type = VIRTIO_NET_HDR_GSO_NONE;
	info.gso_size = 0;
	memcpy(frame, &info, sizeof(info));
	*size = header + length;
	return header + rest_length;
}
