import type { App } from './http.ts'

const policy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "connect-src 'self'",
  "form-action 'none'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
].join('; ')

/** Sign-in and first-run setup: two fixed pages and a script. Nothing a person typed is ever put into HTML here. */
export function pageRoutes(app: App): void {
  const files = { '/': ['text/html', home], '/setup': ['text/html', setup] } as const
  const parts = { '/page.js': ['text/javascript', script], '/page.css': ['text/css', style] } as const
  for (const [url, [type, text]] of Object.entries({ ...files, ...parts })) {
    app.get(url, async (_request, reply) =>
      reply.header('content-security-policy', policy).type(`${type}; charset=utf-8`).send(text),
    )
  }
}

function page(title: string, main: string): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title}</title>
<link rel="stylesheet" href="/page.css">
<script src="/page.js" defer></script>
</head>
<body>
<main>
<h1>Stagedoor</h1>
<p id="message" role="status" aria-live="polite"></p>
${main}
<noscript><p>This page needs JavaScript: passwords are sent as JSON, which other sites cannot do in your name.</p></noscript>
</main>
</body>
</html>
`
}

const home = page(
  'Stagedoor',
  `<form id="login" hidden>
<label for="username">Name</label>
<input id="username" name="username" autocomplete="username" autocapitalize="none" maxlength="100" required>
<label for="password">Password</label>
<input id="password" name="password" type="password" autocomplete="current-password" maxlength="1000" required>
<button>Sign in</button>
</form>
<section id="me" hidden>
<p>Signed in as <strong id="name"></strong> (<span id="roles"></span>).</p>
<p>Players: <span id="players"></span></p>
<button id="logout" type="button">Sign out</button>
</section>`,
)

const setup = page(
  'Stagedoor: first run',
  `<form id="setup">
<p>Make the owner's account. The link works once.</p>
<label for="name">Name</label>
<input id="name" name="name" autocomplete="username" autocapitalize="none" maxlength="100" required>
<label for="password">Password</label>
<input id="password" name="password" type="password" autocomplete="new-password" maxlength="1000" required>
<button>Create the owner</button>
</form>`,
)

// The setup token stands in the fragment, which browsers send to nobody; it leaves the address bar at once.
const script = `'use strict'
const $ = (id) => document.getElementById(id)
const say = (text) => { $('message').textContent = text }

async function ask(method, path, body) {
  const init = body === undefined ? {} : { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }
  const response = await fetch(path, { method, ...init })
  const answer = response.status === 204 ? {} : await response.json()
  if (!response.ok) throw Object.assign(new Error(answer.detail || 'it did not work'), { status: response.status })
  return answer
}

async function show() {
  try {
    const me = await ask('GET', '/auth/me')
    $('name').textContent = me.name
    $('roles').textContent = me.roles.join(', ')
    $('players').textContent = me.players.join(', ') || 'none'
    $('me').hidden = false
    $('login').hidden = true
  } catch (error) {
    if (error.status !== 401) say(error.message)
    $('me').hidden = true
    $('login').hidden = false
  }
}

function onSubmit(form, send) {
  form.addEventListener('submit', async (event) => {
    event.preventDefault()
    const button = form.querySelector('button')
    button.disabled = true
    say('')
    try {
      await send(Object.fromEntries(new FormData(form)))
      form.reset()
    } catch (error) {
      say(error.message)
    }
    button.disabled = false
  })
}

if ($('login')) {
  onSubmit($('login'), async (typed) => {
    await ask('POST', '/auth/login', { ...typed, cookie: true })
    await show()
  })
  $('logout').addEventListener('click', () => ask('POST', '/auth/logout').catch((error) => say(error.message)).then(show))
  show()
}

if ($('setup')) {
  const token = new URLSearchParams(location.hash.slice(1)).get('token') || ''
  history.replaceState(null, '', '/setup')
  if (!token) say('Open this page with the whole link that was printed at the first start.')
  onSubmit($('setup'), async (typed) => {
    await ask('POST', '/setup', { token, ...typed })
    location.assign('/')
  })
}
`

const style = `:root { color-scheme: light dark; font: 1.1rem/1.5 system-ui, sans-serif }
main { max-width: 24rem; margin: 10vh auto; padding: 0 1rem }
label { display: block; margin-top: 1rem }
input, button { box-sizing: border-box; width: 100%; min-height: 2.8rem; font: inherit; padding: 0 .6rem }
button { margin-top: 1.5rem }
#message:empty { display: none }
`
