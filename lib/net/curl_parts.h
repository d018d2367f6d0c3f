/* curl_parts.h -- what the wrappers of libcurl share. Any thread. */
#ifndef NET_CURL_PARTS_H
#define NET_CURL_PARTS_H

#include <stdbool.h>

/* Before anything else of curl; once for the process, however often it is called. */
void curl_parts_init(void);

/* A host of this machine: a proxy from the environment is for others. */
bool curl_parts_is_loopback(const char *url);

#endif
