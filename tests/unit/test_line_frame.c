/* SPDX-License-Identifier: Apache-2.0 */
/* Frames with their checksum left for later, and large ones that are taken apart. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <linux/virtio_net.h>
#include <string.h>

#include "brunt/memory.h"
#include "line/line_frame.h"

#define HEADER sizeof(struct virtio_net_hdr)
#define MAX    70000

enum { TCP = 6, UDP = 17 };

static struct {
	unsigned char bytes[MAX], rest[MAX];
	size_t size, network, transport, headers;
	int version, protocol;
} frame;

/* Plain and slow, and written otherwise than what is tested. */
static uint32_t sum(const unsigned char *at, size_t size, uint32_t start)
{
	for (size_t i = 0; i < size; i++)
		start += i % 2 ? at[i] : (uint32_t)at[i] << 8;
	while (start > 0xffff)
		start = (start & 0xffff) + (start >> 16);
	return start;
}

static uint32_t pseudo_sum(const unsigned char *packet, size_t length)
{
	const unsigned char *ip = packet + frame.network;
	uint32_t start = (uint32_t)(length / 65536 + length % 65536) + (uint32_t)frame.protocol;

	return frame.version == 4 ? sum(ip + 12, 8, start) : sum(ip + 8, 32, start);
}

static void put(unsigned char *at, size_t value)
{
	at[0] = (unsigned char)(value >> 8);
	at[1] = (unsigned char)value;
}

static size_t get(const unsigned char *at)
{
	return (size_t)at[0] << 8 | at[1];
}

/* tags: VLAN tags; extension: bytes between the IP header and TCP or UDP. */
static void build(int version, int protocol, int tags, size_t extension, size_t payload, uint16_t segment)
{
	unsigned char *packet = frame.bytes + HEADER, *ip;
	struct virtio_net_hdr info = { .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM };
	size_t ip_size = (version == 4 ? 20 : 40) + extension, length;

	memset(&frame, 0, sizeof(frame));
	frame.version = version;
	frame.protocol = protocol;
	frame.network = 14 + 4 * (size_t)tags;
	frame.transport = frame.network + ip_size;
	frame.headers = frame.transport + (protocol == TCP ? 32 : 8);
	length = frame.headers + payload;
	frame.size = HEADER + length;
	for (int i = 0; i < tags; i++)
		put(packet + 12 + 4 * i, i ? 0x8100 : 0x88a8);
	put(packet + frame.network - 2, version == 4 ? 0x0800 : 0x86dd);
	ip = packet + frame.network;
	if (version == 4) {
		ip[0] = (unsigned char)(0x40 | ip_size / 4);
		put(ip + 2, length - frame.network);
		put(ip + 4, 0xffff); /* id: wraps */
		ip[8] = 64;
		ip[9] = (unsigned char)protocol;
		memcpy(ip + 12, "\x0a\x09\x00\x01\x0a\x09\x00\x02", 8);
		put(ip + 10, ~sum(ip, ip_size, 0) & 0xffff);
	} else {
		ip[0] = 0x60;
		put(ip + 4, length - frame.network - 40);
		for (int i = 8; i < 40; i++)
			ip[i] = (unsigned char)(i * 77);
	}
	for (size_t i = frame.headers; i < length; i++)
		packet[i] = (unsigned char)(i * i / 3);
	if (protocol == TCP) {
		memcpy(packet + frame.transport + 4, "\xff\xff\xff\xf0", 4); /* sequence: wraps */
		packet[frame.transport + 12] = 0x80;
		packet[frame.transport + 13] = 0x99; /* CWR, ACK, PSH, FIN */
	} else {
		put(packet + frame.transport + 4, length - frame.transport);
	}
	info.csum_start = (uint16_t)frame.transport;
	info.csum_offset = protocol == TCP ? 16 : 6;
	info.hdr_len = (uint16_t)frame.headers;
	info.gso_size = segment;
	if (segment)
		info.gso_type = protocol == UDP ? 5
				: version == 4	? VIRTIO_NET_HDR_GSO_TCPV4
						: VIRTIO_NET_HDR_GSO_TCPV6;
	put(packet + frame.transport + info.csum_offset, pseudo_sum(packet, length - frame.transport));
	memcpy(frame.bytes, &info, sizeof(info));
}

static struct virtio_net_hdr info_of(const unsigned char *bytes)
{
	struct virtio_net_hdr info;

	memcpy(&info, bytes, sizeof(info));
	return info;
}

/* Lengths and checksums of IP and TCP or UDP are right for a frame of this size. */
static void assert_sound(const unsigned char *bytes, size_t size)
{
	const unsigned char *packet = bytes + HEADER, *ip = packet + frame.network;
	size_t length = size - HEADER;

	if (frame.version == 4) {
		assert_int_equal(get(ip + 2), length - frame.network);
		assert_int_equal(sum(ip, frame.transport - frame.network, 0), 0xffff);
	} else {
		assert_int_equal(get(ip + 4), length - frame.network - 40);
	}
	if (frame.protocol == UDP)
		assert_int_equal(get(packet + frame.transport + 4), length - frame.transport);
	assert_int_equal(
		sum(packet + frame.transport, length - frame.transport, pseudo_sum(packet, length - frame.transport)),
		0xffff);
}

static void a_checksum_is_finished(void **state)
{
	(void)state;
	for (int version = 4; version <= 6; version += 2) {
		for (int protocol = TCP; protocol <= UDP; protocol += UDP - TCP) {
			for (size_t payload = 0; payload < 40; payload++) {
				build(version, protocol, payload % 3, payload % 2 * 8, payload, 0);
				line_frame_finish(frame.bytes, frame.size, HEADER);
				assert_int_equal(info_of(frame.bytes).flags, 0);
				assert_sound(frame.bytes, frame.size);
			}
		}
	}
}

/* A UDP checksum that comes out as 0 is written as 0xffff: 0 means that there is none. */
static void a_checksum_of_zero_is_not_written(void **state)
{
	unsigned char *packet = frame.bytes + HEADER;
	size_t field;

	(void)state;
	build(4, UDP, 0, 0, 20, 0);
	field = frame.transport + 6;
	line_frame_finish(frame.bytes, frame.size, HEADER);
	field = get(packet + field);
	build(4, UDP, 0, 0, 20, 0);
	put(packet + frame.headers, (get(packet + frame.headers) + field) % 65535);
	line_frame_finish(frame.bytes, frame.size, HEADER);
	assert_int_equal(get(packet + frame.transport + 6), 0xffff);
}

static void a_checksum_field_outside_of_the_frame_is_left_alone(void **state)
{
	static unsigned char before[MAX];
	struct virtio_net_hdr info;

	(void)state;
	build(4, TCP, 0, 0, 20, 0);
	info = info_of(frame.bytes);
	info.csum_start = 60000;
	info.csum_offset = 60000;
	memcpy(frame.bytes, &info, sizeof(info));
	memcpy(before, frame.bytes, sizeof(before));
	line_frame_finish(frame.bytes, frame.size, HEADER);
	assert_memory_equal(frame.bytes + HEADER, before + HEADER, MAX - HEADER);
}

/* Takes a large packet apart to the end, each segment finished, and puts the payload together again. */
static void take_apart(int version, int protocol, int tags, size_t extension, size_t payload, uint16_t segment)
{
	static unsigned char whole[MAX], together[MAX];
	size_t got = 0, segments = 0, size, rest, wire;
	uint32_t sequence = 0xfffffff0, seen;

	build(version, protocol, tags, extension, payload, segment);
	memcpy(whole, frame.bytes, frame.size);
	wire = line_frame_wire_size(frame.bytes, frame.size, HEADER);
	for (rest = frame.size; rest; segments++) {
		const unsigned char *packet = frame.bytes + HEADER;

		size = rest;
		rest = line_frame_split(frame.bytes, &size, HEADER, frame.rest);
		assert_int_equal(info_of(frame.bytes).gso_type, VIRTIO_NET_HDR_GSO_NONE);
		line_frame_finish(frame.bytes, size, HEADER);
		assert_sound(frame.bytes, size);
		if (rest)
			assert_int_equal(size, HEADER + frame.headers + segment);
		if (version == 4)
			assert_int_equal(get(packet + frame.network + 4), (0xffff + segments) & 0xffff);
		if (protocol == TCP) {
			memcpy(&seen, packet + frame.transport + 4, 4);
			assert_int_equal(ntohl(seen), sequence);
			assert_int_equal(packet[frame.transport + 13], rest ? 0x90 : 0x99);
			sequence += segment;
		}
		memcpy(together + got, packet + frame.headers, size - HEADER - frame.headers);
		got += size - HEADER - frame.headers;
		memcpy(frame.bytes, frame.rest, rest);
	}
	assert_int_equal(got, payload);
	assert_memory_equal(together, whole + HEADER + frame.headers, payload);
	assert_int_equal(segments, (payload + segment - 1) / segment);
	assert_int_equal(wire, payload + segments * frame.headers);
}

static void large_packets_come_apart(void **state)
{
	static const size_t payloads[] = { 1, 999, 1000, 1001, 2000, 2001, 32000, 65000 };

	(void)state;
	for (size_t i = 0; i < BRUNT_COUNT(payloads); i++) {
		for (int version = 4; version <= 6; version += 2) {
			take_apart(version, TCP, 0, 0, payloads[i], 1000);
			take_apart(version, UDP, 0, 0, payloads[i], 1000);
			take_apart(version, TCP, 1, 8, payloads[i], 1001);
			take_apart(version, TCP, 2, 16, payloads[i], 33);
		}
	}
}

/* The echo that congestion was answered belongs to the first segment, when the kernel says so. */
static void only_the_first_segment_has_cwr_with_ecn(void **state)
{
	struct virtio_net_hdr info;
	size_t size;

	(void)state;
	build(4, TCP, 0, 0, 3000, 1000);
	info = info_of(frame.bytes);
	info.gso_type |= VIRTIO_NET_HDR_GSO_ECN;
	memcpy(frame.bytes, &info, sizeof(info));
	size = frame.size;
	assert_true(line_frame_split(frame.bytes, &size, HEADER, frame.rest) > 0);
	assert_int_equal(frame.bytes[HEADER + frame.transport + 13], 0x90);
	assert_int_equal(frame.rest[HEADER + frame.transport + 13], 0x19);
}

/* Whatever the header says: nothing is read or written outside, and what is not understood stays as it is. */
static void nonsense_is_left_alone(void **state)
{
	static const struct virtio_net_hdr nonsense[] = {
		{ 0 },
		{ .gso_type = 1, .gso_size = 1000, .csum_start = 34, .csum_offset = 16 }, /* no checksum left */
		{ .flags = 1, .gso_type = 1, .gso_size = 0, .csum_start = 34, .csum_offset = 16 },
		{ .flags = 1, .gso_type = 3, .gso_size = 1000, .csum_start = 34, .csum_offset = 6 },
		{ .flags = 1, .gso_type = 1, .gso_size = 1000, .csum_start = 0, .csum_offset = 16 },
		{ .flags = 1, .gso_type = 1, .gso_size = 1000, .csum_start = 65535, .csum_offset = 16 },
		{ .flags = 1, .gso_type = 1, .gso_size = 1000, .csum_start = 34, .csum_offset = 65535 },
		{ .flags = 1, .gso_type = 0x7f, .gso_size = 1000, .csum_start = 34, .csum_offset = 16 },
		{ .flags = 1,
		  .gso_type = 1,
		  .gso_size = 1000,
		  .csum_start = 300,
		  .csum_offset = 16 }, /* doff 0 or so */
		{ .flags = 1, .gso_type = 1, .gso_size = 1000, .csum_start = 33, .csum_offset = 16 },
	};

	(void)state;
	for (size_t i = 0; i < BRUNT_COUNT(nonsense); i++) {
		static unsigned char before[MAX];
		size_t size;

		build(4, TCP, 0, 0, 5000, 1000);
		memset(frame.bytes + HEADER + 250, 0, 100);
		memcpy(frame.bytes, &nonsense[i], sizeof(nonsense[i]));
		memcpy(before, frame.bytes, sizeof(before));
		size = frame.size;
		assert_int_equal(line_frame_split(frame.bytes, &size, HEADER, frame.rest), 0);
		assert_int_equal(size, frame.size);
		assert_memory_equal(frame.bytes, before, sizeof(before));
		assert_int_equal(line_frame_wire_size(frame.bytes, size, HEADER), size - HEADER);
	}
	for (size_t size = HEADER; size < HEADER + 100; size++) {
		size_t now = size;

		build(4, TCP, 0, 0, 5000, 1000);
		(void)line_frame_split(frame.bytes, &now, HEADER, frame.rest);
		line_frame_finish(frame.bytes, size, HEADER);
		(void)line_frame_wire_size(frame.bytes, size, HEADER);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_checksum_is_finished),
		cmocka_unit_test(a_checksum_of_zero_is_not_written),
		cmocka_unit_test(a_checksum_field_outside_of_the_frame_is_left_alone),
		cmocka_unit_test(large_packets_come_apart),
		cmocka_unit_test(only_the_first_segment_has_cwr_with_ecn),
		cmocka_unit_test(nonsense_is_left_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
