/*
 * data - what the admin listener's page shows, as JSON. The supervisor's thread.
 */
#pragma once

struct http_request;
struct http_view;
struct server;

/* GET /page.json?since=N: {"now_ms","trusted","status" (as /status), "stages", "columns",
 * "first","seq","rows"} and, for the operator, "samples" and "routes" with their places
 * in the policy. */
void data_answer(struct server *s, struct http_request *r, const struct http_view *v);

/* GET /policy.json: {"files":[{"file","text"}]} of the live policy, for the operator. */
void data_policy(struct server *s, struct http_request *r, const struct http_view *v);
