-- The page of the list: the drafts' code, and what is said of each draft above it.
--
-- The buffer holds code alone, so that the file's own highlighting serves; what is said is virtual
-- text on empty lines.

local text = require('polydraft.text')

local M = {}

local namespace = vim.api.nvim_create_namespace('polydraft.list')

--- How sure the model is: the geometric mean of its tokens' probabilities, and its logarithm.
---@param draft polydraft.Draft
---@return string
function M.score(draft)
  local logprob = tonumber(draft.meanLogprob)
  if not logprob then return 'no score' end
  return ('%.0f %% per token (log %.2f)'):format(100 * math.exp(logprob), logprob)
end

--- Which model wrote how much, and whether the large one has judged it all.
---@param draft polydraft.Draft
---@return string?
function M.writers(draft)
  local tokens = { small = 0, large = 0 }
  for _, part in ipairs(draft.parts or {}) do
    tokens[part.origin] = tokens[part.origin] + part.tokens
  end
  if tokens.small + tokens.large == 0 then return end
  local by = tokens.large == 0 and ('small %d'):format(tokens.small)
    or ('small %d + large %d'):format(tokens.small, tokens.large)
  return ('%s, %s'):format(by, draft.checked and 'checked' or 'not checked')
end

---@param intervention table
---@return string
local function intervention_line(intervention)
  local of = ('%s (%s)'):format(intervention.monitor, intervention.analyser)
  return ('   %s: %s instead of %s'):format(of, intervention.taken, intervention.wanted)
end

---@param number integer
---@param draft polydraft.Draft
---@return [string, string][][] one list of chunks for each line
local function headers(number, draft)
  local facts = { M.score(draft), draft.drafter, M.writers(draft) }
  local lines = {
    {
      { ('%d  '):format(number), 'PolydraftTitle' },
      { table.concat(facts, ' · '), 'PolydraftNote' },
    },
  }
  for _, intervention in ipairs(draft.interventions or {}) do
    lines[#lines + 1] = { { intervention_line(intervention), 'PolydraftNote' } }
  end
  for _, problem in ipairs(draft.problems or {}) do
    lines[#lines + 1] = { { '   ' .. problem, 'PolydraftNote' } }
  end
  return lines
end

---@param draft polydraft.Draft
---@return integer
function M.header_lines(draft)
  return #headers(1, draft)
end

--- Underline what the large model wrote.
---@param buf integer
---@param row integer where the shown text begins
---@param fit polydraft.Fit
---@param encoding string
local function mark_large(buf, row, fit, encoding)
  local draft, from = fit.draft, 0
  local skipped = #draft.text - #fit.rest
  for _, part in ipairs(draft.parts or {}) do
    local to = text.to_bytes(draft.text, part['end'], encoding)
    if part.origin == 'large' and to > skipped then
      local before = fit.rest:sub(1, math.max(0, from - skipped))
      local upto = fit.rest:sub(1, to - skipped)
      local function point(shown)
        local lines = vim.split(shown, '\n')
        return row + #lines - 1, #lines[#lines]
      end
      local start_row, start_col = point(before)
      local end_row, end_col = point(upto)
      vim.api.nvim_buf_set_extmark(buf, namespace, start_row, start_col, {
        end_row = end_row,
        end_col = end_col,
        hl_group = 'PolydraftLarge',
      })
    end
    from = to
  end
end

--- Write the drafts into a buffer, in place of what it has.
---@param buf integer
---@param fits polydraft.Fit[]
---@param encoding string
---@return integer[] rows the first row of each draft's text
function M.write(buf, fits, encoding)
  local lines, heads, rows = {}, {}, {}
  for number, fit in ipairs(fits) do
    for _, chunks in ipairs(headers(number, fit.draft)) do
      heads[#lines] = chunks
      lines[#lines + 1] = ''
    end
    rows[number] = #lines
    vim.list_extend(lines, vim.split(fit.rest, '\n'))
  end
  vim.bo[buf].modifiable = true
  vim.api.nvim_buf_clear_namespace(buf, namespace, 0, -1)
  vim.api.nvim_buf_set_lines(buf, 0, -1, false, lines)
  vim.bo[buf].modifiable = false
  for row, chunks in pairs(heads) do
    local opts = { virt_text = chunks, virt_text_pos = 'overlay' }
    vim.api.nvim_buf_set_extmark(buf, namespace, row, 0, opts)
  end
  for number, fit in ipairs(fits) do
    mark_large(buf, rows[number], fit, encoding)
  end
  return rows
end

--- How many columns the page needs.
---@param buf integer
---@return integer
function M.width(buf)
  local width = 0
  for _, line in ipairs(vim.api.nvim_buf_get_lines(buf, 0, -1, false)) do
    width = math.max(width, vim.fn.strdisplaywidth(line))
  end
  for _, mark in ipairs(vim.api.nvim_buf_get_extmarks(buf, namespace, 0, -1, { details = true })) do
    local said = vim.iter(mark[4].virt_text or {}):fold('', function(all, chunk)
      return all .. chunk[1]
    end)
    width = math.max(width, vim.fn.strdisplaywidth(said))
  end
  return width
end

return M
