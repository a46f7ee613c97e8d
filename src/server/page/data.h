/*
 * data - what the admin listener's page shows, as JSON. The supervisor's thread.
 */
#pragma once

struct http_request;
struct http_view;
struct server;

/* The parts of an answer that all pages share, made again with each row of figures: many
 * open pages cost as much as one. */
struct page_data;
struct page_data *page_data_new(void);
void page_data_free(struct page_data *d); /* NULL is fine */

/* GET /page.json?since=N[&samples=1]: {"now_ms","trusted","token" (the policy sets one),
 * "status" (as /status),"stages","columns","first","seq","rows"} and, for the operator who
 * asks, "samples". status and stages are as of the last row: at most a second old. */
void data_answer(struct server *s, struct http_request *r, const struct http_view *v);

/* GET /policy.json[?generation=N]: {"generation","files":[{"file","text"}],"routes":
 * [{"route","file","line","hooks":[{"file","line","end"}],"schema","fields":
 * [{"field","file","line"}]}]} of that policy, or of the live one when that has ended, for
 * the operator. */
void data_policy(struct server *s, struct http_request *r, const struct http_view *v);
