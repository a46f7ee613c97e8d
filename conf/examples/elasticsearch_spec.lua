local testing = require "sluice.testing"

describe("elasticsearch.lua", function()
  local policy = assert(testing.load("elasticsearch.lua",
    { env = { ELASTIC_API_KEY = "a2V5" } }))
  local AUTH = { Authorization = "ApiKey a2V5" }

  local function bulk(lines, path, headers, type)
    return policy:post(path or "/_bulk", table.concat(lines, "\n") .. "\n",
      { headers = headers or AUTH, content_type = type or "application/x-ndjson" })
  end

  local function items(r) return testing.decode(r.body).items end

  it("answers as Elasticsearch does, with its name", function()
    local r = bulk { '{"index":{"_index":"logs","_id":"1"}}', '{"n":1}',
      '{"create":{"_index":"logs"}}', '{"n":2}' }
    assert.same({ 200, "Elasticsearch" }, { r.status, r.headers["x-elastic-product"] })
    assert.same({ took = 0, errors = false, items = {
      { index = { _index = "logs", _id = "1", status = 201, result = "created" } },
      { create = { _index = "logs", _id = "", status = 201, result = "created" } },
    } }, testing.decode(r.body))
  end)

  it("stores a document with its index, id and tenant, digit by digit", function()
    local r = bulk { '{"index":{"_index":"logs","_id":"7"}}', '{ "n": 1.50, "d": {"a":[]} }' }
    assert.same({ '{ "n": 1.50, "d": {"a":[]} ,"_id":"7","_index":"logs",'
      .. '"_op_type":"index","tenant":"demo"}' }, r.stored.documents)
  end)

  it("takes the media type of newer clients", function()
    local r = bulk({ '{"index":{"_index":"a"}}', "{}" }, nil, nil,
      "application/vnd.elasticsearch+x-ndjson; compatible-with=8")
    assert.equal(200, r.status)
  end)

  it("takes the index of the path where the action has none", function()
    local r = bulk({ '{"index":{}}', '{"n":1}', '{"index":{"_index":"own"}}', '{"n":2}' },
      "/logs/_bulk")
    assert.same({ "logs", "own" }, { testing.decode(r.stored.documents[1])._index,
      testing.decode(r.stored.documents[2])._index })
    r = bulk { '{"index":{}}', '{"n":1}' }
    assert.same({ 200, 400, "illegal_argument_exception" }, { r.status,
      items(r)[1].index.status, items(r)[1].index.error.type })
  end)

  it("refuses a bad document alone, and says which", function()
    local r = bulk { '{"index":{"_index":"a","_id":"1"}}', '{"n":1}',
      '{"create":{"_index":"a","_id":"2"}}', '{"n":,}',
      '{"index":{"_index":"a","_id":"3"}}', '[1]',
      '{"index":{"_index":"a","_id":"4"}}', '{"n":4}' }
    assert.same({ 200, 2, 2 }, { r.status, #r.stored.documents, r.rejected })
    local list = items(r)
    assert.is_true(testing.decode(r.body).errors)
    assert.same({ 201, 400, 400, 201 }, { list[1].index.status, list[2].create.status,
      list[3].index.status, list[4].index.status })
    assert.same({ "2", "invalid_json" }, { list[2].create._id, list[2].create.error.type })
  end)

  it("refuses updates and deletes, without losing the pairs", function()
    local r = bulk { '{"delete":{"_index":"a","_id":"1"}}',
      '{"update":{"_index":"a","_id":"2"}}', '{"doc":{"n":1}}',
      '{"index":{"_index":"a","_id":"3"}}', '{"n":3}' }
    local list = items(r)
    assert.same({ "unsupported_action", "unsupported_action", 201 },
      { list[1].delete.error.type, list[2].update.error.type, list[3].index.status })
    assert.same({ 1, 2 }, { #r.stored.documents, r.rejected })
  end)

  it("refuses the whole where the pairs are lost", function()
    for _, lines in ipairs {
      { '{"n":1}' }, { '{"index":{"_index":"a"}}', '{"n":1}', '{"n":2}' },
      { '{"index":{}}x', '{"n":1}' }, { '{"index":{},"create":{}}', '{"n":1}' },
      { '{"index":[]}', '{"n":1}' }, { '{"upsert":{}}', '{"n":1}' }, { '"index"' },
      { "[]" }, { "" } } do
      local r = bulk(lines)
      assert.same({ 400, "invalid_json", {} }, { r.status, r.code, r.stored }, lines[1])
      local got = testing.decode(r.body)
      assert.same({ 400, "parse_exception", got.error.reason },
        { got.status, got.error.type, got.error.root_cause[1].reason })
    end
  end)

  it("takes a last line without its end, and refuses an action without a document",
    function()
      local r = policy:post("/_bulk", '{"index":{"_index":"a"}}\r\n{"n":1}\r\n'
        .. '{"index":{"_index":"b"}}\n\n{"index":{"_index":"c"}}', { headers = AUTH })
      local list = items(r)
      assert.same({ 3, 201, "missing_event", "missing_event", 1 }, { #list,
        list[1].index.status, list[2].index.error.type, list[3].index.error.type,
        #r.stored.documents })
    end)

  it("stores a document that is created with an _id once", function()
    local lines = { '{"create":{"_index":"once","_id":"1"}}', '{"n":1}',
      '{"create":{"_index":"once"}}', '{"n":2,"_create":"own"}' }
    assert.equal(2, #bulk(lines).stored.documents)
    local again = bulk(lines)
    assert.same({ 1, 201 }, { #again.stored.documents, items(again)[1].create.status })
  end)

  it("stores each version of a document, also the first one again", function()
    for _, n in ipairs { 1, 2, 1 } do
      local r = bulk { '{"index":{"_index":"versions","_id":"1"}}', ('{"n":%d}'):format(n) }
      assert.equal(n, testing.decode(r.stored.documents[1] or "{}").n)
    end
  end)

  it("believes the action, not the document", function()
    local r = bulk { '{"index":{"_index":"act","_id":"1"}}',
      '{"_op_type":"delete","_index":["x"],"_id":"own"}',
      '{"index":{"_index":"act","_id":"2"}}', '{"_id":"own"}' }
    assert.same({ 2, "1", "2", "act" }, { #r.stored.documents, items(r)[1].index._id,
      items(r)[2].index._id, testing.decode(r.stored.documents[1])._index })
    -- Also where the action says nothing: it is no id, and another index.
    for _ = 1, 2 do
      r = bulk({ '{"create":{}}', '{"_id":"own","_index":"own","n":1}' }, "/logs/_bulk")
      assert.same({ { create = { _index = "logs", _id = "", status = 201,
        result = "created" } } }, items(r))
      assert.same({ '{"_index":"logs","n":1,"_op_type":"create","tenant":"demo"}' },
        r.stored.documents)
    end
  end)

  it("asks for a known key", function()
    for _, key in ipairs { "ApiKey other", "Basic a2V5", "" } do
      local r = bulk({ '{"index":{}}', "{}" }, nil, { Authorization = key })
      assert.same({ 401, "security_exception" }, { r.status, r.code })
      assert.equal("security_exception", testing.decode(r.body).error.type)
    end
  end)

  it("answers what clients ask before and behind their documents", function()
    for _, row in ipairs {
      { "GET", "/_cluster/health?wait_for_status=yellow", "status", "green" },
      { "HEAD", "/_index_template/template_logs" },
      { "POST", "/logs/_refresh", "_shards", { total = 1, successful = 1, failed = 0 } },
    } do
      local r = policy:request(row[1], row[2], "", { headers = AUTH })
      assert.same({ 200, "Elasticsearch", {} },
        { r.status, r.headers["x-elastic-product"], r.stored }, row[2])
      if row[3] then assert.same(row[4], testing.decode(r.body)[row[3]]) end
    end
  end)

  it("passes over what a client keeps beside the action", function()
    local r = bulk { '{"index":{"_index":"a","_id":"1"},"attempts":0}', '{"n":1}',
      '{"index":{"_index":"a"},"create":{}}' }
    assert.same({ 400, "invalid_json" }, { r.status, r.code })
    r = bulk { '{"index":{"_index":"a","_id":"1"},"attempts":0}', '{"n":1}' }
    assert.same({ 200, "1", 1 }, { r.status, items(r)[1].index._id, #r.stored.documents })
  end)

  it("says which server it is", function()
    local r = policy:request("GET", "/", "", { headers = AUTH })
    assert.same({ 200, "Elasticsearch", "8.19.0", {} }, { r.status,
      r.headers["x-elastic-product"], testing.decode(r.body).version.number, r.stored })
  end)
end)
