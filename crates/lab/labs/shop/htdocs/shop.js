// The front end. It runs on the customer's computer: everything here, the prices too, can be read
// and changed by whoever sits there. Open the console (F12) and look at `shop`.
'use strict';

const shop = { backend: '', dishes: [], cart: new Map() };

const words = {
  ko: {
    title: '배달 가게', login: '로그인', logout: '로그아웃', cart: '장바구니', empty: '아직 아무것도 없어요.',
    total: '합계', address: '받을 곳', order: '주문하기', orders: '주방에 들어온 주문', from: '보낸 곳',
    what: '음식', paid: '받은 돈', f12: 'F12로 해 보기: 가격을 바꿔 주문하면?', add: '담기', won: '원',
    naive: '순진한 백엔드', careful: '조심하는 백엔드', ordered: n => `주문 ${n}번이 들어갔어요.`,
    refused: 'HTTP', offline: '서버에 닿지 않아요.', changed: '장바구니 쿠키가 바뀌어 있어서 비웠어요.',
    steps: [
      'F12를 눌러 개발자 도구를 열고 Console로 가요.',
      '<code>shop.dishes[0].price</code>를 쳐요. 가격은 이 페이지의 메모리에 있어요.',
      '<code>shop.dishes[0].price = 100</code>으로 바꾸고, 비빔밥을 하나 담아 주문해요.',
      'Network에서 <code>api/order</code> 요청의 본문을 봐요. 100원이 그대로 실려 가요.',
      '순진한 백엔드는 100원에 받아 줘요. 조심하는 백엔드는 메뉴에서 가격을 찾아보고 403으로 거절해요.',
      'Application → Cookies에서 <code>cart</code>도 봐요. 조심하는 백엔드의 쿠키에는 서명이 붙어 있어요. 바꾸면 들켜요.',
    ],
  },
  en: {
    title: 'Delivery shop', login: 'Sign in', logout: 'Sign out', cart: 'Cart', empty: 'Nothing yet.',
    total: 'Total', address: 'Deliver to', order: 'Order', orders: 'Orders in the kitchen', from: 'From',
    what: 'Dishes', paid: 'Paid', f12: 'Try it with F12: what if the price is changed?', add: 'Add', won: ' won',
    naive: 'naive back end', careful: 'careful back end', ordered: n => `Order ${n} has been taken.`,
    refused: 'HTTP', offline: 'The server cannot be reached.', changed: 'The cart cookie had been changed, so it was emptied.',
    steps: [
      'Press F12 to open the developer tools, and go to Console.',
      'Type <code>shop.dishes[0].price</code>: the price is in this page’s memory.',
      'Change it: <code>shop.dishes[0].price = 100</code>. Then add a bibimbap and order.',
      'Under Network look at the body of the request <code>api/order</code>: it says 100.',
      'The naive back end takes it for 100 won. The careful one looks the price up in its menu and refuses with 403.',
      'Look at the cookie <code>cart</code> under Application → Cookies, too. The careful back end signs it: a change shows.',
    ],
  },
};

let language = new URLSearchParams(location.search).get('lang')
  ?? localStorage.getItem('language') ?? (navigator.language.startsWith('ko') ? 'ko' : 'en');
if (!words[language]) language = 'ko';

const by = id => document.getElementById(id);
const say = (text, good) => { by('said').textContent = text; by('said').className = good ? 'good' : 'bad'; };
const won = n => Number(n).toLocaleString(language) + words[language].won;
const dish = id => shop.dishes.find(d => d.id === id);

function element(name, properties = {}, ...children) {
  const e = Object.assign(document.createElement(name), properties);
  e.append(...children);
  return e;
}

function bowl(colour) {
  return `<svg viewBox="0 0 64 64" aria-hidden="true"><path d="M22 20c-4-5 4-8 0-14M32 18c-4-5 4-8 0-14M42 20c-4-5 4-8 0-14" fill="none" stroke="#b8aca0" stroke-width="2.5" stroke-linecap="round"/><ellipse cx="32" cy="32" rx="26" ry="8" fill="${colour}"/><path d="M6 32c0 16 11 24 26 24s26-8 26-24c0 5-12 8-26 8S6 37 6 32z" fill="#fffdf9" stroke="#d8ccbd" stroke-width="2"/></svg>`;
}

function draw() {
  const t = words[language];
  document.documentElement.lang = language;
  for (const e of document.querySelectorAll('[data-t]')) e.textContent = t[e.dataset.t];
  document.title = t.title;
  by('language').textContent = language === 'ko' ? 'English' : '한국어';
  by('backend').textContent = t[shop.backend] ?? '';
  by('backend').className = `badge ${shop.backend}`;
  by('steps').innerHTML = t.steps.map(s => `<li>${s}</li>`).join('');
  by('menu').replaceChildren(...shop.dishes.map(d => {
    const colour = /^#[0-9a-f]{6}$/i.test(d.colour) ? d.colour : '#999999';
    const picture = element('div', { className: 'picture', innerHTML: bowl(colour) });
    const add = element('button', { type: 'button', textContent: t.add, onclick: () => change(d.id, 1) });
    add.dataset.id = d.id;
    const text = element('div', { className: 'text' }, element('strong', { textContent: d.name[language] }),
      element('span', { className: 'price', textContent: won(d.price) }), add);
    const card = element('article', { className: 'card dish' }, picture, text);
    card.style.setProperty('--colour', colour);
    return card;
  }));
  drawCart();
}

function drawCart() {
  const lines = [...shop.cart].filter(([id]) => dish(id));
  by('cart').replaceChildren(...lines.map(([id, n]) => element('li', {},
    element('span', { textContent: dish(id).name[language] }),
    element('span', { className: 'count' },
      element('button', { type: 'button', textContent: '−', onclick: () => change(id, -1) }), String(n),
      element('button', { type: 'button', textContent: '+', onclick: () => change(id, 1) })),
    element('span', { textContent: won(dish(id).price * n) }))));
  by('empty').hidden = lines.length > 0;
  by('order').disabled = lines.length === 0;
  by('total').textContent = won(total());
}

const total = () => [...shop.cart].reduce((sum, [id, n]) => sum + (dish(id)?.price ?? 0) * n, 0);
const items = () => [...shop.cart].filter(([id]) => dish(id)).map(([id, count]) => ({ id, count, price: dish(id).price }));

async function call(path, method = 'GET', body) {
  const options = { method, headers: {} };
  if (body !== undefined) {
    options.headers['Content-Type'] = 'application/json';
    options.body = JSON.stringify(body);
  }
  const response = await fetch(path, options);
  const answer = response.headers.get('Content-Type')?.startsWith('application/json') ? await response.json() : {};
  return { ok: response.ok, status: response.status, answer };
}

// The cart is told to the server after each change, one after the other; the answer sets the cookie.
let telling = Promise.resolve();
function change(id, by_) {
  const n = (shop.cart.get(id) ?? 0) + by_;
  if (n > 0 && n < 100) shop.cart.set(id, n); else if (n <= 0) shop.cart.delete(id);
  drawCart();
  telling = telling.then(() => call('api/cart', 'PUT', { items: items() })).then(reply, () => say(words[language].offline));
  return telling;
}

function reply({ ok, status, answer }) {
  if (!ok) say(`${words[language].refused} ${status}: ${answer.error?.[language] ?? ''}`);
}

async function order() {
  await telling;
  try {
    const { ok, status, answer } = await call('api/order', 'POST', { items: items(), total: total(), address: by('address').value });
    if (ok) {
      shop.cart.clear();
      say(`${words[language].ordered(answer.number)} ${won(answer.total)}`, true);
    } else {
      say(`${words[language].refused} ${status}: ${answer.error?.[language] ?? ''}`);
    }
    drawCart();
    await orders();
  } catch { say(words[language].offline); }
}

async function orders() {
  const { answer } = await call('api/orders');
  by('orders').replaceChildren(...(answer.orders ?? []).map(o => {
    const list = Array.isArray(o.items) ? o.items : [];
    const what = list.map(i => `${dish(i.id)?.name[language] ?? '?'} × ${i.count}`).join(', ');
    return element('tr', {}, ...[o.number, o.user ? `${o.user} (${o.from})` : o.from, what, won(o.total)]
      .map(text => element('td', { textContent: text })));
  }));
}

async function start() {
  const [menu, cart, me] = await Promise.all([call('api/menu'), call('api/cart'), call('api/me')]);
  shop.backend = menu.answer.backend;
  shop.dishes = menu.answer.dishes;
  const saved = Array.isArray(cart.answer.items) ? cart.answer.items : [];
  for (const { id, count } of saved) if (dish(id)) shop.cart.set(id, count);
  by('login').hidden = Boolean(me.answer.user);
  by('logout').hidden = !me.answer.user;
  by('address').value = localStorage.getItem('address') ?? '';
  draw();
  if (cart.answer.tampered) say(words[language].changed);
  await orders();
}

by('order').onclick = order;
by('address').onchange = () => localStorage.setItem('address', by('address').value);
by('language').onclick = () => {
  language = language === 'ko' ? 'en' : 'ko';
  localStorage.setItem('language', language);
  draw();
  orders();
};
start().catch(() => { draw(); say(words[language].offline); });
