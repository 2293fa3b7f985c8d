-- What the user sees while typing: asks the server, keeps the newest offer, shows what is left.
--
-- Every event leads to `look`: it redraws at once from the offer there is (so nothing flickers
-- while a draft is typed through), and asks again if the cursor is at a place not asked for yet.

local client_of = require('polydraft.client').of
local occasion = require('polydraft.occasion')
local offers = require('polydraft.offer')
local pause = require('polydraft.pause')
local status = require('polydraft.status')
local telling = require('polydraft.telling')
local text = require('polydraft.text')
local view = require('polydraft.view')

local M = {}

---@type polydraft.Offer?
local offer
---@type { client: vim.lsp.Client, id: integer, place: polydraft.Place, began: number }?
local pending
---@type polydraft.Place? the place asked for last; it is not asked for unasked again
local asked
local scheduled = false

---@param a? polydraft.Place
---@param b polydraft.Place
local function same(a, b)
  return a ~= nil and a.buf == b.buf and a.tick == b.tick and a.row == b.row and a.col == b.col
end

local function cancel()
  if pending then pending.client:cancel_request(pending.id) end
  pending = nil
end

local function conceal()
  view.clear()
  telling.hidden()
end

--- Forget the drafts and the request for them.
local function drop()
  cancel()
  offer = nil
  conceal()
end

--- The draft on display, the cursor, and the draft's number among those that fit.
---@return polydraft.Fit?, polydraft.Place, integer, polydraft.Fit[]
local function current()
  local here = offers.here()
  local fits = offer and offers.fitting(offer, here) or {}
  local index = offer and offers.index(offer, fits) or 1
  return fits[index], here, index, fits
end

--- Show what is left of the offer; whether there is something.
---@return boolean
local function present()
  local fit, here, index, fits = current()
  local client = client_of(here.buf)
  if not offer or not fit or not client or not occasion.suits() then
    conceal()
    return false
  end
  offer.current = fit.draft
  view.draw {
    buf = here.buf,
    row = here.row,
    col = here.col,
    line = here.line,
    rest = fit.rest,
    tail = offers.tail(offer, fit.draft),
    outdent = fit.outdent,
    count = offer.complete and #fits > 1 and ('(%d/%d)'):format(index, #fits) or nil,
  }
  telling.shown(client, fit.draft.id, fit.rest)
  return true
end

--- Put a newer offer in the place of the one on display. A draft that the user went to stays the
--- one on display; else the first is, since the server ranks them.
---@param newer polydraft.Offer
local function replace(newer)
  local seen, here = current()
  if offer and offer.chosen and seen then offers.keep_choice(newer, seen, here) end
  offer = newer
  present()
end

---@param drafts? polydraft.Draft[]
---@param err? lsp.ResponseError
local function answered(drafts, err)
  local request = assert(pending)
  pending = nil
  if err then
    -- A newer text or a newer request: not a failure.
    local superseded = err.code == -32800 or err.code == -32801 or err.code == -32802
    status.failure = not superseded and err.message or status.failure
    return
  end
  status.failure = nil
  status.latency = (vim.uv.hrtime() - request.began) / 1e6
  local encoding = request.client.offset_encoding
  replace(offers.new(request.place, drafts or {}, encoding, request.id, true))
end

---@param automatic boolean
local function ask(automatic)
  local here = offers.here()
  local client = client_of(here.buf)
  if not client or not client.initialized then return end
  cancel()
  asked = here
  local params = offers.params(here, client.offset_encoding, automatic)
  -- With 0 for the buffer, Neovim would not send the newest text first.
  local id ---@type integer?
  local sent, request_id = client:request('polydraft/drafts', params, function(err, result)
    if pending and pending.id == id then answered(result and result.drafts, err) end
  end, here.buf)
  if not sent then return end
  id = request_id --[[@as integer]]
  pending = { client = client, id = id, place = here, began = vim.uv.hrtime() }
end

--- The first draft of a request that is still worked on.
---@param params { requestId: integer, draft: polydraft.Draft }
function M.on_first_draft(params)
  if not pending or pending.id ~= params.requestId then return end
  -- What fits and is on display stays there until the whole answer is known.
  if current() then return end
  local encoding = pending.client.offset_encoding
  replace(offers.new(pending.place, { params.draft }, encoding, pending.id, false))
end

--- The large model has looked: these drafts stand for the answer from now on.
---@param params { requestId: integer, version: integer, drafts: polydraft.Draft[] }
function M.on_better_drafts(params)
  if not offer or offer.request ~= params.requestId then return end
  local here = offers.here()
  if not same(offer.place, here) or vim.lsp.util.buf_versions[here.buf] ~= params.version then
    return -- the user typed on; the next answer brings them
  end
  local seen = offer.current and offer.current.id
  offer.drafts, offer.current = params.drafts, nil
  for _, draft in ipairs(params.drafts) do
    if draft.id == seen then offer.current = draft end
  end
  present()
end

--- The model is there: what was asked while it was loaded was answered with nothing.
function M.on_ready()
  if offer and #offer.drafts > 0 then return end
  asked = nil
  M.look()
end

--- Whether drafts should come by themselves at a place.
---@param here polydraft.Place
local function wants_drafts(here)
  return occasion.suits() and not pause.reason(here.buf) and client_of(here.buf) ~= nil
end

--- Something happened: show what there is, and ask if the place is a new one.
function M.look()
  local here = offers.here()
  if not wants_drafts(here) then
    cancel()
    conceal()
    return
  end
  if not present() then offer = nil end
  if scheduled or same(asked, here) then return end
  scheduled = true
  vim.schedule(function()
    scheduled = false
    here = offers.here()
    if wants_drafts(here) and not same(asked, here) then ask(true) end
  end)
end

function M.leave()
  drop()
  asked = nil
end

--- Ask here and now, whatever the settings say of typing.
function M.complete()
  if occasion.suits() then ask(false) end
end

---@param step integer
---@return boolean
function M.cycle(step)
  local fit, _, index, fits = current()
  if not offer or not fit or not occasion.suits() then return false end
  offer.current, offer.chosen = fits[(index - 1 + step) % #fits + 1].draft, true
  return present()
end

---@return boolean
function M.dismiss()
  local visible = M.is_visible()
  drop()
  return visible
end

---@return boolean
function M.is_visible()
  return offer ~= nil and occasion.suits() and current() ~= nil
end

--- The draft to accept: what is left of it, where it goes, and how many bytes there it replaces.
---@return polydraft.Fit?, polydraft.Place, integer
function M.selected()
  local fit, here = current()
  return fit, here, fit and offers.tail(offer --[[@as polydraft.Offer]], fit.draft) or 0
end

--- The text has some more of the draft now; `whole` if all of it.
---@param fit polydraft.Fit
---@param piece string
---@param whole boolean
function M.accepted(fit, piece, whole)
  local client = client_of()
  if not client or not offer then return end
  local id = fit.draft.id
  if whole then
    telling.accepted(client, id, vim.api.nvim_get_current_buf())
    drop()
    return
  end
  offer.taken[id] = (offer.taken[id] or 0) + text.utf16_length(piece)
  telling.partly_accepted(client, id, offer.taken[id])
  present()
end

return M
