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

/** Where somebody was on their way to: a page of a web client, or nowhere. Anybody may have made the link. */
function next(players) {
  const given = new URLSearchParams(location.search).get('next') || ''
  const url = /^\/(?!\/)[\x21-\x5b\x5d-\x7e]*$/.test(given) ? new URL(given, location.origin) : undefined
  const pages = players.flatMap(({ name, web = [] }) => web.flatMap((path) => [path, `/players/${name}${path}`]))
  const isPage = url?.origin === location.origin && pages.some((page) => url.pathname.startsWith(page))
  return isPage ? url.pathname : undefined
}

async function show() {
  try {
    const me = await ask('GET', '/auth/me')
    const players = await ask('GET', '/players')
    const onward = next(players)
    if (onward) return location.replace(onward)
    $('name').textContent = me.name
    $('roles').textContent = me.roles.join(', ')
    $('players').replaceChildren(...players.map(playerItem))
    $('left').replaceChildren(...(me.quotas || []).map(quotaItem))
    $('quotas').hidden = (me.quotas || []).length === 0
    $('me').hidden = false
    $('login').hidden = true
  } catch (error) {
    if (error.status !== 401) say(error.message)
    $('me').hidden = true
    $('login').hidden = false
  }
}

/** One player, and links to the web clients it serves. */
function playerItem({ name, up, web = [] }) {
  const item = document.createElement('li')
  item.append(up ? name : `${name} (not there at the moment)`)
  for (const path of web) {
    const link = document.createElement('a')
    link.href = path
    link.textContent = path.split('/').at(-2)
    item.append(' ', link)
  }
  return item
}

/** What a quota counts, in words; the capability's own name for what is seldom counted. */
const counted = {
  'playback.skip': 'skips',
  'playback.control': 'times to play, pause or seek',
  'queue.add': 'songs to add',
  'queue.replace': 'songs to play instead',
  'queue.edit': 'changes of the queue',
  'queue.clear': 'times to empty the queue',
  'volume.set': 'changes of the volume',
  'library.read': 'looks into the library',
}

/** Such as: 4 of 6 skips left in 1 hour; one more at 18:40. */
function quotaItem({ capability, limit, window, remaining, reset, players }) {
  const item = document.createElement('li')
  const where = players ? ` (${players.join(', ')})` : ''
  const what = `${remaining} of ${limit} ${counted[capability] || capability} left in ${spell(window)}${where}`
  item.textContent = reset === 0 ? `${what}.` : `${what}; one more ${when(reset)}.`
  return item
}

function spell(seconds) {
  const units = [
    [86400, 'day'],
    [3600, 'hour'],
    [60, 'minute'],
    [1, 'second'],
  ]
  const [size, name] = units.find(([unit]) => seconds % unit === 0)
  return `${seconds / size} ${name}${seconds === size ? '' : 's'}`
}

/** A time of day here, rounded up to the minute; the day as well where it is not today. */
function when(seconds) {
  if (seconds < 60) return `in ${spell(seconds)}`
  const then = new Date(Math.ceil((Date.now() + seconds * 1000) / 60000) * 60000)
  const time = then.toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' })
  const isToday = then.toDateString() === new Date().toDateString()
  return isToday
    ? `at ${time}`
    : `on ${then.toLocaleDateString([], { weekday: 'long', day: 'numeric', month: 'long' })} at ${time}`
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
