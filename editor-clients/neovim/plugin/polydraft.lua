-- Only the command; all else waits for require('polydraft').setup {}.
if vim.g.loaded_polydraft then return end
vim.g.loaded_polydraft = true

vim.api.nvim_create_user_command('Polydraft', function(command)
  require('polydraft.command').run(command.fargs)
end, {
  nargs = '*',
  desc = 'polydraft: status, drafts, pair, pause, resume, log, reload',
  complete = function(...)
    return require('polydraft.command').complete(...)
  end,
})
