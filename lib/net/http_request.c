#include "net/http_request.h"

#include <assert.h>
#include <strings.h>

enum {
    BLANK_LINES_MAX = 2,        /* RFC 9112 2.2: some clients end a body with a stray CRLF */
    KEPT_BYTES_MAX = 4 * 1024,  /* of a buffer, from one request to the next */
    CHUNKED_FACTOR_MAX = 8,     /* a body in chunks of one byte takes six bytes for each */
    REQUEST_LINE_EXTRA_MAX = 32 /* the longest method and version around the target */
};

static void refuse(struct http_request *request, int status)
{
    request->state = HTTP_REQUEST_REFUSED;
    request->refusal = status;
}

static int on_url(llhttp_t *parser, const char *at, size_t len)
{
    struct http_request *request = parser->data;
    if (request->path.len != 0 && request->path.data + request->path.len != (const uint8_t *)at) {
        return HPE_USER;
    }
    if (request->path.len == 0) {
        request->path.data = (const uint8_t *)at;
    }
    request->path.len += len;
    return 0;
}

static struct http_request_header *last_header(struct http_request *request)
{
    return &request->headers[request->header_count - 1];
}

static int on_header_field(llhttp_t *parser, const char *at, size_t len)
{
    struct http_request *request = parser->data;
    if (request->state != HTTP_REQUEST_HEAD) {
        return 0; /* a trailer: read over */
    }
    /* llhttp built without its strict mode lets a blank pass. */
    if (memchr(at, ' ', len) != NULL || memchr(at, '\t', len) != NULL) {
        return HPE_USER;
    }
    if (request->header_count == request->limits.header_count_max) {
        refuse(request, 431);
        return HPE_USER;
    }
    request->header_count++;
    *last_header(request) = (struct http_request_header){
        .name_at = (uint32_t)((const uint8_t *)at - request->head.data),
        .name_len = (uint32_t)len,
    };
    return 0;
}

static int on_header_value(llhttp_t *parser, const char *at, size_t len)
{
    struct http_request *request = parser->data;
    if (request->state != HTTP_REQUEST_HEAD) {
        return 0;
    }
    struct http_request_header *header = last_header(request);
    if (header->value_at != 0) {
        return HPE_USER; /* a value in two pieces: only a folded one could be */
    }
    while (len > 0 && (at[len - 1] == ' ' || at[len - 1] == '\t')) {
        len--;
    }
    header->value_at = (uint32_t)((const uint8_t *)at - request->head.data);
    header->value_len = (uint32_t)len;
    return 0;
}

static int on_headers_complete(llhttp_t *parser)
{
    struct http_request *request = parser->data;
    parser->upgrade = 0; /* we offer no other protocol; such a request is answered as it stands */
    request->is_chunked = (parser->flags & F_CHUNKED) != 0;
    request->body_bytes = parser->content_length;
    request->is_keep_alive = llhttp_should_keep_alive(parser) != 0;
    /* 1: no body for llhttp; feed_plain_body counts a plain one. */
    return request->is_chunked ? 0 : 1;
}

static int on_body(llhttp_t *parser, const char *at, size_t len)
{
    struct http_request *request = parser->data;
    if (len > buf_room(&request->body)) {
        refuse(request, 413);
        return HPE_USER;
    }
    buf_put(&request->body, span_of(at, len));
    return 0;
}

static int on_message_complete(llhttp_t *parser)
{
    (void)parser;
    return HPE_PAUSED; /* so that llhttp_execute stops at the last byte of this request */
}

static const llhttp_settings_t settings = {
    .on_url = on_url,
    .on_header_field = on_header_field,
    .on_header_value = on_header_value,
    .on_headers_complete = on_headers_complete,
    .on_body = on_body,
    .on_message_complete = on_message_complete,
};

void http_request_init(struct http_request *request, const struct http_request_limits *limits)
{
    assert(limits->header_count_max <= HTTP_HEADERS_MAX);
    memset(request, 0, sizeof *request);
    request->limits = *limits;
    buf_init(&request->head, limits->header_bytes_max);
    buf_init(&request->body, limits->body_bytes_max);
    http_request_reset(request);
}

static void reset_buf(struct buf *buf)
{
    if (buf->cap > KEPT_BYTES_MAX) {
        buf_clear(buf);
    } else {
        buf_reset(buf);
    }
}

void http_request_reset(struct http_request *request)
{
    reset_buf(&request->head);
    reset_buf(&request->body);
    request->state = HTTP_REQUEST_HEAD;
    request->refusal = 0;
    request->header_count = 0;
    request->path = request->query = (struct span){ NULL, 0 };
    request->expects_continue = false;
    request->is_chunked = false;
    request->body_bytes = 0;
    request->line_at = 0;
    request->blank_lines = 0;
    request->chunked_bytes = 0;
    llhttp_init(&request->parser, HTTP_REQUEST, &settings);
    request->parser.data = request;
}

void http_request_clear(struct http_request *request)
{
    buf_clear(&request->head);
    buf_clear(&request->body);
}

static bool header_is(const struct http_request *request, const struct http_request_header *header,
                      const char *name)
{
    return header->name_len == strlen(name) &&
           strncasecmp((const char *)request->head.data + header->name_at, name,
                       header->name_len) == 0;
}

static uint32_t header_count(const struct http_request *request, const char *name)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < request->header_count; i++) {
        count += header_is(request, &request->headers[i], name);
    }
    return count;
}

bool http_request_header(const struct http_request *request, const char *name, struct span *value)
{
    for (uint32_t i = 0; i < request->header_count; i++) {
        const struct http_request_header *header = &request->headers[i];
        if (header_is(request, header, name)) {
            *value = span_of(request->head.data + header->value_at, header->value_len);
            return true;
        }
    }
    return false;
}

static bool is_word(struct span text, const char *word)
{
    return text.len == strlen(word) && strncasecmp((const char *)text.data, word, text.len) == 0;
}

/* METHOD TARGET VERSION with one blank each, in a version we speak; sets is_http_1_0. 0, or the
 * status to refuse with. */
static int check_request_line(struct http_request *request, struct span line)
{
    struct span text = span_slice(line, 0, line.len - 2);
    request->is_http_1_0 = span_has_suffix(text, span_of_str(" HTTP/1.0"));
    if (!request->is_http_1_0 && !span_has_suffix(text, span_of_str(" HTTP/1.1"))) {
        return span_find(text, span_of_str(" HTTP/")) != SIZE_MAX ? 505 : 400;
    }
    text.len -= strlen(" HTTP/1.x");
    struct span method;
    if (!span_take_until(&text, ' ', &method) || memchr(text.data, ' ', text.len) != NULL) {
        return 400;
    }
    return 0;
}

/* Splits the target into path and query; takes the absolute form that proxies are sent, too. */
static int check_target(struct http_request *request)
{
    struct span target = request->path;
    if (target.len > request->limits.target_bytes_max) {
        return 414;
    }
    for (size_t i = 0; i < target.len; i++) {
        if (target.data[i] <= ' ' || target.data[i] >= 0x7f || target.data[i] == '#') {
            return 400;
        }
    }
    if (target.len >= 7 && strncasecmp((const char *)target.data, "http://", 7) == 0) {
        target = span_slice(target, 7, target.len - 7);
        const uint8_t *slash = memchr(target.data, '/', target.len);
        if (slash == NULL) {
            return 400;
        }
        target.len -= (size_t)(slash - target.data);
        target.data = slash;
    }
    bool is_star = span_is_str(target, "*") && request->method == HTTP_METHOD_OPTIONS;
    if (!is_star && (target.len == 0 || target.data[0] != '/')) {
        return 400;
    }
    const uint8_t *mark = memchr(target.data, '?', target.len);
    request->path = target;
    if (mark != NULL) {
        request->path.len = (size_t)(mark - target.data);
        request->query = span_of(mark + 1, target.len - request->path.len - 1);
    }
    return 0;
}

/* One way to know where the request ends, or none. */
static int check_framing(struct http_request *request)
{
    uint32_t lengths = header_count(request, "content-length");
    uint32_t encodings = header_count(request, "transfer-encoding");
    if (lengths + encodings > 1) {
        return 400;
    }
    struct span value;
    if (http_request_header(request, "transfer-encoding", &value) &&
        (!is_word(value, "chunked") || !request->is_chunked || request->is_http_1_0)) {
        return 400;
    }
    uint64_t least = request->is_chunked ? 1 : request->body_bytes;
    return least > request->limits.body_bytes_max ? 413 : 0;
}

static int check_headers(struct http_request *request)
{
    uint32_t hosts = header_count(request, "host");
    if (hosts > 1 || (hosts == 0 && !request->is_http_1_0)) {
        return 400;
    }
    struct span value;
    if (http_request_header(request, "expect", &value)) {
        if (!is_word(value, "100-continue")) {
            return 417;
        }
        request->expects_continue = !request->is_http_1_0;
    }
    return check_framing(request);
}

static enum http_method method_of(const llhttp_t *parser)
{
    switch (parser->method) {
    case HTTP_GET:
        return HTTP_METHOD_GET;
    case HTTP_HEAD:
        return HTTP_METHOD_HEAD;
    case HTTP_POST:
        return HTTP_METHOD_POST;
    case HTTP_OPTIONS:
        return HTTP_METHOD_OPTIONS;
    default:
        return HTTP_METHOD_OTHER;
    }
}

/* The head is complete: has llhttp take it apart, then checks it. */
static void parse_head(struct http_request *request)
{
    llhttp_errno_t rc =
        llhttp_execute(&request->parser, (const char *)request->head.data, request->head.len);
    if (request->state == HTTP_REQUEST_REFUSED) {
        return;
    }
    bool has_ended = rc == HPE_PAUSED;
    if (!has_ended && !(rc == HPE_OK && request->is_chunked)) {
        refuse(request, rc == HPE_INVALID_METHOD ? 501 : 400);
        return;
    }
    request->method = method_of(&request->parser);
    int status = check_target(request);
    if (status == 0) {
        status = check_headers(request);
    }
    if (status != 0) {
        refuse(request, status);
        return;
    }
    bool has_body = request->is_chunked || request->body_bytes > 0;
    request->state = has_body ? HTTP_REQUEST_BODY : HTTP_REQUEST_COMPLETE;
}

/* What can be said of a line by itself. 0, or the status to refuse with. */
static int check_line(struct http_request *request, struct span line)
{
    /* The CR before the LF is the first CR of the line. */
    if (memchr(line.data, '\r', line.len) != line.data + line.len - 2) {
        return 400;
    }
    if (request->line_at == 0) {
        return check_request_line(request, line);
    }
    /* A folded line, or a header without a name. */
    return strchr(" \t:", line.data[0]) != NULL ? 400 : 0;
}

static void end_line(struct http_request *request)
{
    struct span line =
        span_of(request->head.data + request->line_at, request->head.len - request->line_at);
    bool is_blank = span_is_str(line, "\r\n");
    if (is_blank && request->line_at == 0) {
        buf_reset(&request->head);
        if (++request->blank_lines > BLANK_LINES_MAX) {
            refuse(request, 400);
        }
        return;
    }
    if (is_blank) {
        parse_head(request);
        return;
    }
    int status = line.len < 2 ? 400 : check_line(request, line);
    if (status != 0) {
        refuse(request, status);
    }
    request->line_at = request->head.len;
}

/* Takes the bytes up to the end of the line, or all. */
static void feed_head(struct http_request *request, struct span *in)
{
    if (request->head.len == 0 && in->data[0] != '\r' && (in->data[0] < 'A' || in->data[0] > 'Z')) {
        refuse(request, 400); /* TLS, for one, which would have us wait for a line end */
        return;
    }
    const uint8_t *newline = memchr(in->data, '\n', in->len);
    size_t len = newline != NULL ? (size_t)(newline - in->data) + 1 : in->len;
    bool is_first = request->line_at == 0;
    size_t line_bytes_max = request->limits.target_bytes_max + REQUEST_LINE_EXTRA_MAX;
    if (is_first && len > line_bytes_max - request->head.len) {
        refuse(request, 414);
        return;
    }
    if (len > buf_room(&request->head)) {
        refuse(request, is_first ? 414 : 431);
        return;
    }
    struct span line;
    bool is_taken = span_take(in, len, &line);
    assert(is_taken);
    buf_put(&request->head, line);
    if (newline != NULL) {
        end_line(request);
    }
}

static void feed_plain_body(struct http_request *request, struct span *in)
{
    uint64_t missing = request->body_bytes - request->body.len;
    struct span part;
    bool is_taken = span_take(in, in->len < missing ? in->len : (size_t)missing, &part);
    assert(is_taken);
    buf_put(&request->body, part);
    if (request->body.len == request->body_bytes) {
        request->state = HTTP_REQUEST_COMPLETE;
    }
}

static void feed_chunked_body(struct http_request *request, struct span *in)
{
    llhttp_errno_t rc = llhttp_execute(&request->parser, (const char *)in->data, in->len);
    if (request->state == HTTP_REQUEST_REFUSED) {
        return;
    }
    size_t len = in->len;
    if (rc == HPE_PAUSED) {
        len = (size_t)((const uint8_t *)llhttp_get_error_pos(&request->parser) - in->data);
        request->state = HTTP_REQUEST_COMPLETE;
    } else if (rc != HPE_OK) {
        refuse(request, 400);
        return;
    }
    struct span part;
    bool is_taken = span_take(in, len, &part);
    assert(is_taken);
    /* Chunk extensions and trailers are read over, but not for ever. */
    request->chunked_bytes += len;
    if (request->chunked_bytes / CHUNKED_FACTOR_MAX >
        request->limits.body_bytes_max + request->limits.header_bytes_max) {
        refuse(request, 413);
    }
}

void http_request_feed(struct http_request *request, struct span *in)
{
    if (request->state == HTTP_REQUEST_HEAD) {
        while (in->len > 0 && request->state == HTTP_REQUEST_HEAD) {
            feed_head(request, in);
        }
    } else if (request->state == HTTP_REQUEST_BODY && in->len > 0) {
        if (request->is_chunked) {
            feed_chunked_body(request, in);
        } else {
            feed_plain_body(request, in);
        }
    }
}
