/* SPDX-License-Identifier: BSD-2-Clause */
#include "report/gzip.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <zlib.h>

#include "policy/base/bug.h"
#include "policy/base/strbuf.h"

#define GZIP_WINDOW  (15 + 16) /* zlib.h: 16 more than the window makes it gzip */
#define MEMORY_LEVEL 8	       /* zlib's default */
#define UNIX	     3
#define CHUNK_BYTES  16384

static Bytef *
input(struct slice s)
{
	Bytef *p;

	memcpy(&p, &s.p, sizeof(p)); /* zlib does not write there */
	return p;
}

struct slice
gzip_bytes(struct arena *a, struct slice bytes)
{
	gz_header header = { .os = UNIX };
	z_stream z = { .next_in = input(bytes), .avail_in = (uInt)bytes.len };
	struct slice out;
	char *p;

	if (bytes.len > UINT32_MAX)
		bug("gzip: %zu bytes", bytes.len);
	if (deflateInit2(&z, Z_BEST_COMPRESSION, Z_DEFLATED, GZIP_WINDOW, MEMORY_LEVEL,
		Z_DEFAULT_STRATEGY) != Z_OK)
		out_of_memory(0);
	(void)deflateSetHeader(&z, &header);
	z.avail_out = (uInt)deflateBound(&z, (uLong)bytes.len);
	p = heap_alloc(1, z.avail_out);
	z.next_out = (Bytef *)p;
	if (deflate(&z, Z_FINISH) != Z_STREAM_END)
		bug("gzip: %zu bytes do not fit", bytes.len);
	out = arena_copy(a, slice_of(p, (size_t)z.total_out));
	(void)deflateEnd(&z);
	free(p);
	return out;
}

int
gunzip_bytes(struct arena *a, struct slice gzip, size_t max_bytes, struct slice *out)
{
	z_stream z = { .next_in = input(gzip), .avail_in = (uInt)gzip.len };
	char chunk[CHUNK_BYTES];
	struct strbuf b;
	bool whole;
	int rc = Z_OK;

	if (gzip.len > UINT32_MAX)
		return -1;
	if (inflateInit2(&z, GZIP_WINDOW) != Z_OK)
		out_of_memory(0);
	strbuf_init(&b, a, max_bytes);
	while (rc == Z_OK && !b.truncated) {
		z.next_out = (Bytef *)chunk;
		z.avail_out = sizeof(chunk);
		rc = inflate(&z, Z_NO_FLUSH);
		strbuf_add(&b, slice_of(chunk, sizeof(chunk) - z.avail_out));
	}
	whole = rc == Z_STREAM_END && z.avail_in == 0 && !b.truncated;
	(void)inflateEnd(&z);
	if (!whole)
		return -1;
	*out = strbuf_slice(&b);
	return 0;
}
