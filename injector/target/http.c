/* SPDX-License-Identifier: Apache-2.0 */
/* Just enough of HTTP/1.1 (RFC 9112) to take one answer apart. */
#include "target/engine.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* The value of a header between head and its end, or NULL; head is terminated. */
static const char *header(const char *head, const char *name)
{
	size_t length = strlen(name);

	for (const char *line = strstr(head, "\r\n"); line; line = strstr(line, "\r\n")) {
		line += 2;
		if (!strncasecmp(line, name, length) && line[length] == ':')
			return line + length + 1 + strspn(line + length + 1, " \t");
	}
	return NULL;
}

/* Joins the chunks of body in place; how many bytes, -EAGAIN when the last chunk is not there, -EPROTO. */
static ssize_t unchunk(char *body, size_t size)
{
	size_t from = 0, to = 0;

	for (;;) {
		unsigned long long chunk;
		char *line = body + from, *end, *stop = memchr(line, '\n', size - from);

		if (!stop)
			return -EAGAIN;
		if (!strchr("0123456789abcdefABCDEF", *line) || !*line)
			return -EPROTO;
		errno = 0;
		chunk = strtoull(line, &end, 16);
		if (errno || chunk > BRUNT_ENGINE_ANSWER_MAX || !strchr(";\r\n \t", *end))
			return -EPROTO;
		from += (size_t)(stop - line) + 1;
		if (!chunk)
			return (ssize_t)to; /* trailers do not matter */
		if (size - from < chunk + 2)
			return -EAGAIN;
		if (memcmp(body + from + chunk, "\r\n", 2))
			return -EPROTO;
		memmove(body + to, body + from, chunk);
		to += chunk;
		from += chunk + 2;
	}
}

int brunt_engine_body(char *text, size_t size, int at_end, char **ret_body, size_t *ret_size)
{
	const char *coding, *announced;
	char *head_end, *body;
	ssize_t length;

	text[size] = '\0';
	head_end = strstr(text, "\r\n\r\n");
	if (!head_end)
		return at_end || size > 65536 ? -EPROTO : -EAGAIN;
	if (strncmp(text, "HTTP/1.", 7) || !text[7] || strncmp(text + 8, " 200", 4))
		return -EPROTO;
	body = head_end + 4;
	length = (ssize_t)(size - (size_t)(body - text));
	head_end[2] = '\0'; /* ends the head for header(); put back, since the caller may ask again with more */
	coding = header(text, "Transfer-Encoding");
	announced = header(text, "Content-Length");
	if (coding && !strncasecmp(coding, "chunked", 7)) {
		/* Joining destroys: only once all is there, which its end tells. */
		bool whole = at_end || (length >= 5 && !memcmp(body + length - 5, "0\r\n\r\n", 5));

		length = whole ? unchunk(body, (size_t)length) : -EAGAIN;
		if (length == -EAGAIN && at_end)
			length = -EPROTO;
	} else if (announced) {
		char *end;
		unsigned long long wanted = strtoull(announced, &end, 10);

		if (end == announced || *announced == '-' || wanted > BRUNT_ENGINE_ANSWER_MAX)
			length = -EPROTO;
		else if ((unsigned long long)length < wanted)
			length = at_end ? -EPROTO : -EAGAIN;
		else
			length = (ssize_t)wanted;
	} else if (!at_end) {
		length = -EAGAIN; /* the body ends with the connection */
	}
	head_end[2] = '\r';
	if (length < 0)
		return (int)length;
	body[length] = '\0';
	*ret_body = body;
	*ret_size = (size_t)length;
	return 0;
}
