const $ = (id) => document.getElementById(id)
const say = (text) => {
  $('message').textContent = text
}

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
  $('logout').addEventListener('click', () =>
    ask('POST', '/auth/logout')
      .catch((error) => say(error.message))
      .then(show),
  )
  void show()
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
