/*
 * scrape - the answer to GET /metrics: in the format and the coding that the scraper prefers.
 *
 * The supervisor's thread: workers do nothing for it.
 */
#pragma once

struct http_request;
struct http_view;

void scrape_answer(struct http_request *r, const struct http_view *v);
