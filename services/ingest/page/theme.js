// Before anything is drawn, so that nothing flashes: runs at once, as no module does.
document.documentElement.dataset.theme = localStorage.getItem('theme') ?? 'auto'
