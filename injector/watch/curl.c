/* SPDX-License-Identifier: Apache-2.0 */
#include "watch/curl.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "brunt/error.h"
#include "brunt/memory.h"

#define OLDEST_VERSION 0x075500 /* 7.85: CURLOPT_PROTOCOLS_STR */

static struct brunt_curl functions;

#define FUNCTION(name)                                                                                                 \
	{                                                                                                              \
		"curl_" #name, offsetof(struct brunt_curl, name)                                                       \
	}
static const struct {
	const char *symbol;
	size_t offset;
} symbols[] = {
	FUNCTION(global_init),	    FUNCTION(version_info),	   FUNCTION(easy_init),
	FUNCTION(easy_cleanup),	    FUNCTION(easy_setopt),	   FUNCTION(easy_getinfo),
	FUNCTION(easy_strerror),    FUNCTION(slist_append),	   FUNCTION(slist_free_all),
	FUNCTION(multi_init),	    FUNCTION(multi_cleanup),	   FUNCTION(multi_setopt),
	FUNCTION(multi_add_handle), FUNCTION(multi_remove_handle), FUNCTION(multi_socket_action),
	FUNCTION(multi_info_read),  FUNCTION(multi_assign),
};
_Static_assert(BRUNT_COUNT(symbols) * sizeof(void *) == sizeof(struct brunt_curl),
	       "a function of libcurl is not loaded");

static int find_all(void *library, struct brunt_curl *ret, struct brunt_error *err)
{
	for (size_t i = 0; i < BRUNT_COUNT(symbols); i++) {
		void *function = dlsym(library, symbols[i].symbol);

		if (!function)
			return brunt_fail(err, ENOTSUP, "libcurl has no %s; libcurl 7.85 or newer is needed",
					  symbols[i].symbol);
		memcpy((char *)ret + symbols[i].offset, &function, sizeof(function));
	}
	return 0;
}

int brunt_curl_load(const struct brunt_curl **ret, struct brunt_error *err)
{
	static bool loaded;
	struct brunt_curl found;
	void *library;
	int r;

	if (loaded) {
		*ret = &functions;
		return 0;
	}
	library = dlopen("libcurl.so.4", RTLD_NOW | RTLD_LOCAL);
	if (!library)
		library = dlopen("libcurl-gnutls.so.4", RTLD_NOW | RTLD_LOCAL);
	if (!library)
		return brunt_fail(err, ENOENT, "HTTP and TCP probes need libcurl (Debian: apt install libcurl4): %s",
				  dlerror());
	/* From here it stays: TLS libraries leave behind handlers that must not be unmapped. */
	r = find_all(library, &found, err);
	if (r < 0)
		return r;
	if (found.global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return brunt_fail(err, EIO, "libcurl cannot be initialised");
	if (found.version_info(CURLVERSION_NOW)->version_num < OLDEST_VERSION)
		return brunt_fail(err, ENOTSUP, "libcurl %s is too old; 7.85 or newer is needed",
				  found.version_info(CURLVERSION_NOW)->version);
	functions = found;
	loaded = true;
	*ret = &functions;
	return 0;
}

static const char *errno_why(long code)
{
	switch (code) {
	case ECONNREFUSED:
		return "connection refused";
	case ECONNRESET:
		return "connection reset";
	case EHOSTUNREACH:
		return "host unreachable";
	case ENETUNREACH:
		return "network unreachable";
	case ETIMEDOUT:
		return "connection timed out";
	case EPIPE:
		return "connection closed while sending";
	default:
		return NULL;
	}
}

static const char *code_why(CURLcode code)
{
	switch (code) {
	case CURLE_COULDNT_RESOLVE_HOST:
		return "host name cannot be resolved";
	case CURLE_COULDNT_CONNECT:
		return "cannot connect";
	case CURLE_GOT_NOTHING:
		return "connection closed without an answer";
	case CURLE_PARTIAL_FILE:
		return "answer broke off";
	case CURLE_RECV_ERROR:
		return "connection broke while receiving";
	case CURLE_SEND_ERROR:
		return "connection broke while sending";
	case CURLE_WEIRD_SERVER_REPLY:
	case CURLE_UNSUPPORTED_PROTOCOL:
		return "answer is not HTTP";
	case CURLE_PEER_FAILED_VERIFICATION:
		return "TLS certificate is not trusted";
	case CURLE_SSL_CONNECT_ERROR:
		return "TLS handshake failed";
	case CURLE_TOO_MANY_REDIRECTS:
		return "too many redirects";
	case CURLE_OPERATION_TIMEDOUT:
		return "timed out";
	default:
		return NULL;
	}
}

const char *brunt_curl_why(const struct brunt_curl *curl, CURL *easy, CURLcode code, char *buf, size_t size)
{
	const char *why = NULL;
	long os_code = 0;

	if (code == CURLE_COULDNT_CONNECT || code == CURLE_RECV_ERROR || code == CURLE_SEND_ERROR) {
		if (curl->easy_getinfo(easy, CURLINFO_OS_ERRNO, &os_code) == CURLE_OK)
			why = errno_why(os_code);
	}
	if (!why)
		why = code_why(code);
	snprintf(buf, size, "%s", why ? why : curl->easy_strerror(code));
	return buf;
}
